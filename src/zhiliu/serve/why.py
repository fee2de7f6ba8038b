"""The why answer: what the decision log kept, with names and weights put back in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zhiliu.rank.objective import shares, weights_of
from zhiliu.serve.answers import Attribution, HeadShare, Why
from zhiliu.serve.engine import Engine
from zhiliu.types import Decision, DecisionItem

SHOWN = 8
"""Attributions told, the strongest first."""


async def explain(engine: Engine, decision: Decision, item: DecisionItem) -> Why:
    """One slot of a served page in full."""
    names = await asyncio.to_thread(engine.feature_names, decision.model)
    weights, logged = weights_of(decision, engine.settings.feed)
    return Why(
        request_id=decision.request_id,
        video_id=item.video_id,
        slot=item.slot,
        time_ms=decision.time_ms,
        surface=decision.surface,
        mode=decision.mode,
        model=decision.model,
        policy=decision.policy,
        propensity=item.propensity,
        score=item.score,
        candidate_count=decision.candidate_count,
        sources=item.sources,
        reasons=item.reasons,
        heads=[HeadShare(*share) for share in shares(item.heads, weights)],
        weights_logged=logged,
        features=named_features(names, item.features),
        attributions=strongest(await engine.attributions(decision, item), SHOWN),
        dropped=decision.dropped,
        failed=decision.failed,
        context=decision.context,
    )


def named_features(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Values by name; by number when the artifact that knows the names is gone."""
    if len(names) != len(values):
        names = [f"feature {i}" for i in range(len(values))]
    return dict(zip(names, values, strict=True))


def strongest(effects: dict[str, float], shown: int) -> list[Attribution]:
    """The features that moved the score most."""
    ordered = sorted(effects.items(), key=lambda pair: -abs(pair[1]))[:shown]
    return [Attribution(feature, effect) for feature, effect in ordered if effect != 0]
