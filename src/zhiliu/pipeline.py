"""The one place where the stages meet. It reads like the diagram in docs/architecture.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from zhiliu.protocols import Explainer, FeatureRanker, Filter, Hydrator, Objective, Ranker, Reranker, Source
from zhiliu.types import F32, Candidates, Query, Slate

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """query → sources → hydrate → filter → rank → rerank → explain → slate."""

    sources: Sequence[tuple[Source, int]]
    """Each source with how many candidates to ask it for."""
    hydrators: Sequence[Hydrator]
    filters: Sequence[Filter]
    ranker: Ranker
    objective: Objective
    reranker: Reranker
    explainer: Explainer
    rank_limit: int = 500
    """At most this many candidates are ranked; small: faster, large: fewer good ones missed."""
    model: str = field(default="")
    policy: str = field(default="greedy")
    weights: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, query: Query, k: int) -> Slate:
        """A slate of at most ``k`` videos. The same query gives the same slate."""
        candidates, failed = self.retrieve(query)
        candidates, dropped = self.filter(query, candidates)
        candidates = candidates.take(np.arange(min(self.rank_limit, len(candidates))))
        for hydrator in self.hydrators:
            candidates = candidates.with_columns(hydrator.hydrate(query, candidates))
        heads, features = predict(self.ranker, query, candidates)
        score = self.objective.score(heads)
        told = {f"head:{name}": p for name, p in heads.items()} | {"score": score}
        ranked = candidates.with_columns(told | features)
        items = ranked.take(self.reranker.arrange(query, ranked, k))
        slate = Slate(
            request_id=query.request_id,
            items=items,
            model=self.model,
            policy=self.policy,
            weights=self.weights,
            source_names=tuple(source.name for source, _ in self.sources),
            candidate_hash=candidate_hash(ranked),
            candidate_count=len(ranked),
            dropped=dropped,
            failed=failed,
        )
        return slate.with_reasons(self.explainer.reasons(query, items))

    def retrieve(self, query: Query) -> tuple[Candidates, tuple[str, ...]]:
        """Ask every source; one that fails is skipped and named, the feed goes on."""
        found: list[tuple[str, Candidates]] = []
        failed: list[str] = []
        for source, k in self.sources:
            try:
                found.append((source.name, source.retrieve(query, k)))
            except Exception:  # a broken source must not take the feed down
                log.exception("source failed", source=source.name, request_id=query.request_id)
                found.append((source.name, Candidates.empty()))
                failed.append(source.name)
        return Candidates.merge(found), tuple(failed)

    def filter(self, query: Query, candidates: Candidates) -> tuple[Candidates, dict[str, int]]:
        """Apply every filter; an exception here is fatal, a rule must never be skipped."""
        dropped: dict[str, int] = {}
        for rule in self.filters:
            keep = rule.keep(query, candidates)
            dropped[rule.name] = int(len(candidates) - np.count_nonzero(keep))
            candidates = candidates.take(keep)
        return candidates, dropped


def predict(ranker: Ranker, query: Query, candidates: Candidates) -> tuple[Mapping[str, F32], dict[str, F32]]:
    """Heads, and ``features`` (C, F) of a ranker that tells them: the decision log keeps those of the slate."""
    if not isinstance(ranker, FeatureRanker):
        return ranker.predict(query, candidates), {}
    heads, features = ranker.predict_with_features(query, candidates)
    return heads, {"features": features} if features.size else {}


def candidate_hash(candidates: Candidates) -> str:
    """Names the set that was ranked, whatever its order; the decision log keeps it."""
    return hashlib.blake2b(np.sort(candidates.video).tobytes(), digest_size=8).hexdigest()
