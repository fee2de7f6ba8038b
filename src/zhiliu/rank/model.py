"""A trained ranker as files: ONNX graph, names, calibration. Used by the feed and by evaluation alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiliu.artifact import Artifact, onnx_session
from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.builder import CONTEXT, SEQUENCE, Features, numeric_names
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.features.video import duration_bucket
from zhiliu.settings import Settings, SettingsError
from zhiliu.types import F32, I32, Person


class RankerMismatchError(Exception):
    """The artifact was trained with other features than this version computes, or for another time zone."""


class RankerModel:
    """Probabilities of the heads from features, calibrated as they were in training."""

    def __init__(self, artifact: Artifact, videos: VideoColumns, *, one_person: bool = True) -> None:
        facts: dict[str, Any] = artifact.json("ranker")
        self.version = artifact.version
        self.kind: str = facts["kind"]
        self.heads: tuple[str, ...] = tuple(facts["heads"])
        self.inputs: tuple[str, ...] = tuple(facts["inputs"])
        self.window: int = facts.get("window", 2)
        self.timezone_offset_h: float | None = facts.get("timezone_offset_h")
        self.sequence_length: int = facts.get("sequence_length", 2)
        self.numeric_mean: F32 = np.array(facts.get("numeric_mean", []), np.float32)
        self.vocabulary = ProfileVocabulary(facts.get("profile", {}))
        self.calibration: Mapping[str, tuple[float, float]] = facts["calibration"]
        if "numeric" in self.inputs:
            check_features(artifact, facts)
        self.session = onnx_session(artifact.file("ranker.onnx" if one_person else "ranker_rows.onnx"))
        self.durations = videos.duration_ms
        self.vectors = video_vectors(artifact, videos, facts) if "item" in self.inputs else None
        self.quantiles = artifact.array("watch_quantiles") if artifact.has("watch_quantiles.npy") else None
        self.index_of_person: dict[str, int] = {}
        self.index_of_video: I32 = np.zeros(0, np.int32)
        if "person_index" in self.inputs:
            self.index_of_person = {name: i + 1 for i, name in enumerate(artifact.json("ranker_people"))}
            place = {name: i + 1 for i, name in enumerate(artifact.json("video_ids"))}
            self.index_of_video = np.array([place.get(name, 0) for name in videos.ids], np.int32)

    def check_settings(self, settings: Settings) -> None:
        """Refuse to serve with features that mean something else than in training.

        Raises:
            RankerMismatchError: hours, weekdays and days would be those of another time zone.
            SettingsError: ``feed.history`` would cut the past that the network reads.

        """
        if "numeric" not in self.inputs:
            return
        trained, now = self.timezone_offset_h, settings.timezone_offset_h
        if trained is not None and trained != now:
            raise RankerMismatchError(
                f"artifact {self.version} was trained with timezone_offset_h = {trained}, the settings say {now}; "
                "set it back, or train again"
            )
        if settings.feed.history < self.window:
            raise SettingsError(
                f"feed.history is {settings.feed.history}, but the ranker of artifact {self.version} reads the "
                f"newest {self.window} interactions; set it to {self.window} or more"
            )

    def codes(self, profile: Person | None) -> I32:
        """(fields,) codes of a profile."""
        return self.vocabulary.encode(profile)

    def predict(self, features: Features | None, video: I32, codes: I32, people: list[str]) -> dict[str, F32]:
        """Head → (B,) probabilities, and ``watch_ms``; codes (W, fields), people (W,) keys; W is 1 or B."""
        given = self.gather(features, video, codes, people)
        raw = self.session.run(None, {name: given[name] for name in self.inputs})[0]
        heads = {head: self.calibrate(head, raw[:, i]) for i, head in enumerate(self.heads)}
        if self.quantiles is not None and raw.shape[1] > len(self.heads):
            heads["watch_ms"] = self.watch_ms(raw[:, len(self.heads)], video)
        return heads

    def gather(
        self, features: Features | None, video: I32, codes: I32, people: list[str]
    ) -> dict[str, NDArray[Any]]:
        """Every input the graph may ask for."""
        given: dict[str, NDArray[Any]] = {}
        if "person_index" in self.inputs:
            given["person_index"] = np.array([self.index_of_person.get(p, 0) for p in people], np.int64)
            given["video_index"] = self.index_of_video[video].astype(np.int64)
        if features is not None and self.vectors is not None:
            t = self.sequence_length
            mask = features.past_mask[:, -t:]
            past_video = features.past_video[:, -t:]
            given |= {
                "numeric": features.numeric,
                "context": features.context.astype(np.int64),
                "person": codes.astype(np.int64),
                "item": self.vectors[video],
                "past_item": self.vectors[past_video] * mask[..., None],
                "past": features.past[:, -t:],
                "mask": mask.astype(np.float32),
            }
        return given

    def calibrate(self, head: str, p: F32) -> F32:
        """σ(a · logit + b)."""
        a, b = self.calibration[head]
        clipped = np.clip(p, 1e-7, 1 - 1e-7)
        calibrated: F32 = 1 / (1 + np.exp(-(a * np.log(clipped / (1 - clipped)) + b)))
        return calibrated.astype(np.float32)

    def watch_ms(self, quantile: F32, video: I32) -> F32:
        """Watch time at the predicted quantile of the video's length (D2Q)."""
        table: F32 = np.asarray(self.quantiles)
        at = np.clip(quantile, 0, 1) * (table.shape[1] - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, table.shape[1] - 1)
        bucket = duration_bucket(self.durations[video])
        share = at - low
        watch: F32 = table[bucket, low] * (1 - share) + table[bucket, high] * share
        return watch.astype(np.float32)


def check_features(artifact: Artifact, facts: Mapping[str, Any]) -> None:
    """Raise RankerMismatchError unless the network was trained with what ``features.builder`` computes."""
    trained = tuple(tuple(facts.get(name, ())) for name in ("numeric", "context", "sequence"))
    if trained != (numeric_names(), CONTEXT, SEQUENCE):
        raise RankerMismatchError(f"artifact {artifact.version}: trained with other features; train again")


def video_vectors(artifact: Artifact, videos: VideoColumns, facts: Mapping[str, Any]) -> F32:
    """(N, D) vectors of today's catalogue; a video newer than the artifact is its author and topics."""
    trained: F32 = np.asarray(artifact.array("ranker_video"))
    author_table, tag_table = artifact.array("ranker_author"), artifact.array("ranker_tag")
    place = {name: i for i, name in enumerate(artifact.json("video_ids"))}
    position = np.array([place.get(name, -1) for name in videos.ids], np.int64)
    author = codes_of(facts["authors"], videos.authors.names)[videos.author]
    tag = codes_of(facts["tags"], videos.tags.names)[videos.tag]  # (N, TAGS)
    present = np.maximum((tag > 0).sum(1, keepdims=True), 1)
    content = author_table[author] + tag_table[tag].sum(1) / present
    vectors: F32 = np.where(position[:, None] >= 0, trained[np.maximum(position, 0)], content)
    return vectors.astype(np.float32)


def codes_of(trained: list[str], now: list[str]) -> I32:
    """Code in training of each name of today; 0 for names that training did not know."""
    place = {name: i for i, name in enumerate(trained)}
    return np.array([place.get(name, 0) for name in now], np.int32)
