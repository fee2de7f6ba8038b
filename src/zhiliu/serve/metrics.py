"""Prometheus metrics in base units. One registry an app; no person, video or request id is ever a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Everything ``/metrics`` shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "zhiliu_http_requests", "Answers by route, method and status.",
            ["route", "method", "status"], registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "zhiliu_http_request_duration_seconds", "From the first byte in to the last byte out.",
            ["route"], registry=self.registry, buckets=SECONDS,
        )  # fmt: skip
        self.accepted = Counter("zhiliu_events_accepted", "Events made durable.", registry=self.registry)
        self.duplicates = Counter(
            "zhiliu_events_duplicate", "Events that were already there.", registry=self.registry
        )
        self.rejected = Counter(
            "zhiliu_events_rejected", "Events sent to the dead-letter table.", registry=self.registry
        )
        self.commit_seconds = Histogram(
            "zhiliu_events_commit_seconds", "From a batch's validation to its fsync.",
            registry=self.registry, buckets=SECONDS,
        )  # fmt: skip
        self.rank_seconds = Histogram(
            "zhiliu_feed_pipeline_seconds", "Sources to reasons of one page.",
            registry=self.registry, buckets=SECONDS,
        )  # fmt: skip
        self.source_failures = Counter(
            "zhiliu_feed_source_failures",
            "Pages served without this source.",
            ["source"],
            registry=self.registry,
        )
        self.model = Gauge(
            "zhiliu_model_info", "1 for the model that serves.", ["version"], registry=self.registry
        )
        self.refused = Gauge(
            "zhiliu_models_refused", "Artifacts on disk that were found damaged.", registry=self.registry
        )
        self.swaps = Counter(
            "zhiliu_model_swaps", "Times another model was taken live.", registry=self.registry
        )
        self.lag = Gauge(
            "zhiliu_live_lag_events", "Durable events not yet in live state.", registry=self.registry
        )
        self._children: dict[tuple[str, str, int], Counter] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer. Unusual methods share one label, so a client cannot make new ones."""
        key = (route, method if method in METHODS else "other", status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self.requests.labels(key[0], key[1], str(status))
        child.inc()
        self.seconds.labels(route).observe(seconds)

    def live_model(self, version: str) -> None:
        """Name the one model that serves now."""
        self.model.clear()
        self.model.labels(version or "none").set(1)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
