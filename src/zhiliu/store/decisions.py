"""The decision log: everything about a served slate that cannot be rebuilt later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zhiliu.store.engine import Database
from zhiliu.store.rows import props_of, text_of, to_json
from zhiliu.store.tables import decision_items, decisions
from zhiliu.types import Decision, DecisionItem, Reason

PLAIN = ("request_id", "person", "time_ms", "surface", "policy", "model", "candidate_hash", "candidate_count",
         "seed", "mode")  # fmt: skip
decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode
decode_heads = msgspec.json.Decoder(dict[str, float]).decode
decode_reasons = msgspec.json.Decoder(tuple[Reason, ...]).decode


class DecisionLog:
    """One row a decision, one row a slot. Written once, never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, batch: Sequence[Decision]) -> None:
        """Write all of them in one transaction. One whose ``request_id`` is known is left as it is.

        Raises:
            ValueError: a score, propensity, head or weight is not a finite number, or one slot is filled twice.
            StoreWriteError: nothing was written.

        """
        first: dict[str, Decision] = {}
        for decision in batch:
            first.setdefault(check(decision).request_id, decision)
        if not first:
            return
        with self._database.write() as connection:
            known = decisions.c.request_id.in_(list(first))
            for request_id in connection.scalars(sa.select(decisions.c.request_id).where(known)):
                del first[request_id]
            insert_new(connection, decisions, [decision_row(decision) for decision in first.values()])
            items = [
                item_row(decision.request_id, item) for decision in first.values() for item in decision.items
            ]
            insert_new(connection, decision_items, items)

    def get(self, request_id: str) -> Decision | None:
        """As it was appended; features come back as float32 values."""
        one = sa.select(decisions).where(decisions.c.request_id == request_id)
        its = (
            sa.select(decision_items)
            .where(decision_items.c.request_id == request_id)
            .order_by(decision_items.c.slot)
        )
        with self._database.read() as connection:
            row = connection.execute(one).mappings().first()
            if row is None:
                return None
            items = tuple(item_of(item) for item in connection.execute(its).mappings())
        return Decision(
            **{name: row[name] for name in PLAIN},
            context=props_of(row["context"]),
            dropped=props_of(row["dropped"]),
            failed=decode_texts(row["failed"]),
            weights=decode_heads(row["weights"]) if row["weights"] else {},
            seen_count=row["seen_count"] or 0,  # nothing in rows from before revision 0002
            seen_hash=row["seen_hash"] or "",
            items=items,
        )

    def served(self, person: str, since_ms: int, limit: int) -> list[str]:
        """Distinct video ids served to a person at or after ``since_ms``, newest first."""
        newest = sa.func.max(decisions.c.time_ms)
        query = (
            sa.select(decision_items.c.video_id)
            .join(decisions, decisions.c.request_id == decision_items.c.request_id)
            .where(decisions.c.person == person, decisions.c.time_ms >= since_ms)
            .group_by(decision_items.c.video_id)
            .order_by(newest.desc(), sa.func.min(decision_items.c.slot), decision_items.c.video_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def count(self) -> int:
        """Decisions, not slots."""
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(decisions)) or 0


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert; what another replica wrote in the meantime stays."""
    if rows:
        dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
        keys = table.primary_key.columns.keys()
        connection.execute(dialect.insert(table).on_conflict_do_nothing(index_elements=keys), rows)


def check(decision: Decision) -> Decision:
    """Refuse what would not come back as it went in."""
    slots = [item.slot for item in decision.items]
    if len(set(slots)) < len(slots):
        raise ValueError(f"decision {decision.request_id!r}: a slot is filled twice ({slots})")
    for name, value in decision.weights.items():
        if not math.isfinite(value):
            raise ValueError(
                f"decision {decision.request_id!r}: weight of {name} is {value}; it must be finite"
            )
    for item in decision.items:
        numbers = {"score": item.score, "propensity": item.propensity, **item.heads}
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"decision {decision.request_id!r}, slot {item.slot}: {name} is {value}; it must be finite"
                )
    return decision


def decision_row(decision: Decision) -> dict[str, Any]:
    """Without the items."""
    return {name: getattr(decision, name) for name in PLAIN} | {
        "context": text_of(decision.context),
        "dropped": text_of(decision.dropped),
        "failed": to_json(decision.failed),
        "weights": to_json({name: float(value) for name, value in decision.weights.items()}),
        "seen_count": decision.seen_count,
        "seen_hash": decision.seen_hash,
    }


def item_row(request_id: str, item: DecisionItem) -> dict[str, Any]:
    """One slot; features as little-endian float32."""
    return {
        "request_id": request_id,
        "slot": item.slot,
        "video_id": item.video_id,
        "score": float(item.score),
        "propensity": float(item.propensity),
        "sources": to_json(item.sources),
        "heads": to_json({name: float(value) for name, value in item.heads.items()}),
        "features": np.asarray(item.features, "<f4").tobytes() if item.features else None,
        "reasons": to_json(item.reasons) if item.reasons else None,
    }


def item_of(row: Any) -> DecisionItem:
    """The inverse of :func:`item_row`."""
    features = row["features"]
    return DecisionItem(
        slot=row["slot"],
        video_id=row["video_id"],
        score=row["score"],
        propensity=row["propensity"],
        sources=decode_texts(row["sources"]),
        heads=decode_heads(row["heads"]),
        features=tuple(np.frombuffer(features, "<f4").tolist()) if features else (),
        reasons=decode_reasons(row["reasons"]) if row["reasons"] else (),
    )
