"""``zhiliu show ranking``: one page with everything that decided it, made now or read from the decision log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zhiliu.cli.show.scene import Scene, ShowError
from zhiliu.cli.show.text import aligned, heading, section, video
from zhiliu.rank.objective import shares, weights_of
from zhiliu.rank.recorder import decision_of
from zhiliu.registry import build_pipeline, make, ranker_name
from zhiliu.store import Store
from zhiliu.types import Decision

HEAD = "long_view"
"""The outcome that is attributed."""


def ranked(scene: Scene, person: str, top: int) -> dict[str, Any]:
    """Run the pipeline once for a page of ``top`` videos."""
    query = scene.query(person)
    if not len(query.history):
        scene.notes.append(f"{person} has no history 没有历史: what others watch and the profile decide")
    slate = build_pipeline(scene.world)(query, top)
    return decision_facts(scene, decision_of(query, slate, scene.world.videos.ids.__getitem__))


def replayed(scene: Scene, decision: Decision) -> dict[str, Any]:
    """A page as it was served; the scene stands at its moment."""
    if decision.model != (scene.model or ""):
        scene.notes.append(
            f"served by model {decision.model or 'none'}, which is not the one here 由另一模型提供: no attribution"
        )
    return decision_facts(scene, decision) | {"replay": True}


def logged(store: Store, request_id: str) -> Decision:
    """A logged decision.

    Raises:
        ShowError: there is none of this id.

    """
    decision = store.decisions.get(request_id)
    if decision is None:
        raise ShowError(f"no decision {request_id!r} in the log; it holds {store.decisions.count()}")
    return decision


def decision_facts(scene: Scene, decision: Decision) -> dict[str, Any]:
    """Each slot: sources, heads, what each head added to the score, reasons; how the first one came about."""
    weights, weights_logged = weights_of(decision, scene.settings.feed)
    if not weights_logged:
        scene.notes.append(
            "contributions by today's weights 按当前权重: the record is from before they were kept"
        )
    items = []
    for item in decision.items:
        row = scene.world.videos.row_of.get(item.video_id)
        named = scene.named(row) if row is not None else {"video_id": item.video_id, "title": "", "topic": ""}
        items.append(
            named
            | {
                "slot": item.slot,
                "score": item.score,
                "propensity": item.propensity,
                "sources": list(item.sources),
                "reasons": [{"code": r.code, "text": r.text, "refs": list(r.refs)} for r in item.reasons],
                "heads": {name: p for name, p in item.heads.items() if name != "watch_ms"},
                "expected_watch_ms": item.heads.get("watch_ms"),
                "contributions": {head: added for head, _, _, added in shares(item.heads, weights) if added},
            }
        )
    attribution = attributed(scene, decision)
    return {
        "person": decision.person,
        **scene.head(),
        "replay": False,
        "request_id": decision.request_id,
        "served_by": decision.model or None,
        "ranker": ranker_name(scene.world) if decision.model == (scene.model or "") else None,
        "surface": decision.surface,
        "policy": decision.policy,
        "weights": dict(weights),
        "weights_logged": weights_logged,
        "mode": decision.mode,
        "seen": {"count": decision.seen_count, "hash": decision.seen_hash},
        "seed": decision.seed,
        "candidates": decision.candidate_count,
        "candidate_hash": decision.candidate_hash,
        "dropped": dict(decision.dropped),
        "failed": list(decision.failed),
        "items": items,
        "attribution": attribution,
    }


def attributed(scene: Scene, decision: Decision) -> dict[str, Any] | None:
    """What moved the first slot's log odds; None where no trained ranker of this page is at hand."""
    if not decision.items or decision.model != (scene.model or ""):
        return None
    ranker = make("zhiliu.rankers", ranker_name(scene.world), scene.world)
    row = scene.world.videos.row_of.get(decision.items[0].video_id)
    if not hasattr(ranker, "attribute") or row is None:
        return None
    query = scene.world.query_again(decision, scene.profile(decision.person))
    groups: dict[str, float] = ranker.attribute(query, row, HEAD)
    if not groups:
        return None
    return {
        "video_id": decision.items[0].video_id,
        "head": HEAD,
        "log_odds": dict(sorted(groups.items(), key=lambda pair: -abs(pair[1]))),
    }


# -- for people --------------------------------------------------------------------------------------------


def ranking_text(facts: Mapping[str, Any], offset_h: float) -> str:
    """The same, to read."""
    dropped = ", ".join(f"{name} {n}" for name, n in facts["dropped"].items() if n) or "none 无"
    replay = " replayed 重放" if facts["replay"] else ""
    ranker = facts["ranker"] or facts["served_by"] or "unknown 未知"
    lines = heading(facts, f"ranking for person 用户 {facts['person']}", offset_h)
    lines += [
        f"request 请求 {facts['request_id']}{replay}, surface {facts['surface']}, ranker 排序 {ranker}",
        f"candidates 候选 {facts['candidates']}, dropped 过滤 {dropped}, failed sources 失败 {len(facts['failed'])}",
    ]
    for item in facts["items"]:
        lines += ["", f"{item['slot'] + 1}. {video(item)}  score 得分 {item['score']:.4f}", *slot_lines(item)]
    if not facts["items"]:
        lines += ["", "no video 没有视频"]
    attribution = facts["attribution"]
    if attribution is not None:
        title = f"what moved {attribution['head']} of slot 1 第一位的归因 (log odds)"
        lines += section(title, [[group, f"{x:+.3f}"] for group, x in attribution["log_odds"].items()])
    return "\n".join(lines)


def slot_lines(item: Mapping[str, Any]) -> list[str]:
    """One slot: why, found by, then a head a column."""
    heads = item["heads"] | (
        {"watch": item["expected_watch_ms"]} if item["expected_watch_ms"] is not None else {}
    )
    table = [
        ["", *heads],
        ["p 概率", *(f"{p / 1000:.1f} s" if head == "watch" else f"{p:.4f}" for head, p in heads.items())],
        ["adds 贡献", *(
            f"{item['contributions'].get('watch_ms' if head == 'watch' else head, 0.0):+.4f}" for head in heads
        )],
    ]  # fmt: skip
    told = f"  found by 来源 {', '.join(item['sources']) or 'none 无'}"
    why = f"  why 理由 {'; '.join(reason['text'] for reason in item['reasons']) or 'none 无'}"
    return [told, why, *aligned(table)]
