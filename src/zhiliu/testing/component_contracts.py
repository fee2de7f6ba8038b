"""What every stage of the pipeline must do, whoever wrote it.

Subclass, return yours from ``make``, and pytest runs every rule on it::

    class TestMySource(SourceContract):
        def make(self):
            return MySource(...)

``query`` and ``candidates`` give what the component is run with: override them with ones it has something to say
about. Rows of candidates must exist in the catalogue your component was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zhiliu.protocols import (
    Explainer,
    Filter,
    Hydrator,
    Objective,
    Ranker,
    Recorder,
    Reranker,
    Source,
)
from zhiliu.types import F32, HEADS, NEVER_MS, Candidates, Decision, History, Query, Reason, Slate

NOW_MS = 1_650_000_000_000
MINUTE_MS = 60_000


def history(videos: list[int], *, long_view: bool = True, end_ms: int = NOW_MS - MINUTE_MS) -> History:
    """These rows watched one a minute, the last at ``end_ms``."""
    t = len(videos)
    time_ms = end_ms - MINUTE_MS * np.arange(t)[::-1]
    label_ms = np.full((t, len(HEADS)), NEVER_MS, np.int64)
    if long_view:
        label_ms[:, HEADS.index("long_view")] = label_ms[:, HEADS.index("click")] = time_ms + 1
    return History(
        video=np.array(videos, np.int32),
        time_ms=time_ms.astype(np.int64),
        watch_ms=np.full(t, 20_000 if long_view else 0, np.float32),
        watch_known_ms=(time_ms + 1).astype(np.int64),
        label_ms=label_ms,
        surface=np.ones(t, np.int32),
    )


def query(**changes: Any) -> Query:
    """A request of somebody of whom nothing is known, unless said otherwise."""
    known: dict[str, Any] = {"person": "p1", "now_ms": NOW_MS, "seed": 7, "request_id": "r1"}
    return Query(**known | changes)


def candidates(count: int) -> Candidates:
    """Rows 0 … count - 1 as after ranking: sources, one head, scores with ties."""
    rng = np.random.default_rng(count)
    video = rng.permutation(count).astype(np.int32)
    found = Candidates.merge([("trending", Candidates(video, {"score": np.ones(count, np.float32)}))])
    if not count:
        found = Candidates(video, {"sources": np.zeros(0, np.uint32)})
    score = np.round(rng.random(count), 1).astype(np.float32)
    return found.with_columns({"score": score, "head:click": np.full(count, 0.5, np.float32)})


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two sets of columns are equal, nan to nan."""
    return a.keys() == b.keys() and all(
        np.array_equal(a[k], b[k], equal_nan=a[k].dtype.kind == "f") for k in a
    )


class SourceContract:
    """At most k unique videos, best first, the same for the same query."""

    def make(self) -> Source:
        """The source under test."""
        raise AssertionError("return a source of yours from make()")

    def query(self) -> Query:
        """A request that it finds something for."""
        return query()

    def test_has_a_name(self) -> None:
        assert isinstance(self.make(), Source)
        assert self.make().name

    def test_finds_something_for_its_query(self) -> None:
        assert len(self.make().retrieve(self.query(), 5)) > 0

    def test_gives_at_most_k_and_never_a_video_twice(self) -> None:
        source = self.make()
        for k in (1, 2, 5, 100, 100_000):
            found = source.retrieve(self.query(), k)
            assert len(found) <= k
            assert len(set(found.video.tolist())) == len(found)

    def test_gives_nothing_when_asked_for_nothing(self) -> None:
        assert len(self.make().retrieve(self.query(), 0)) == 0

    def test_rows_are_int32_and_scores_float32_finite_and_best_first(self) -> None:
        found = self.make().retrieve(self.query(), 50)
        score = found["score"]
        assert (found.video.dtype.name, score.dtype.name) == ("int32", "float32")
        assert np.isfinite(score).all()
        assert (np.diff(score) <= 0).all()
        assert (found.video >= 0).all()

    def test_the_same_query_finds_the_same(self) -> None:
        source, asked = self.make(), self.query()
        first, again, other = (
            source.retrieve(asked, 20),
            source.retrieve(asked, 20),
            self.make().retrieve(asked, 20),
        )
        for found in (again, other):
            assert found.video.tolist() == first.video.tolist()
            assert same(found.columns, first.columns)

    def test_what_was_seen_in_this_cursor_is_not_found_again_while_there_is_other(self) -> None:
        asked = self.query()
        first = self.make().retrieve(asked, 2)
        after = Query(**{**fields(asked), "seen": first.video})
        assert not set(first.video.tolist()) & set(self.make().retrieve(after, 2).video.tolist())

    def test_somebody_unknown_is_not_an_error(self) -> None:
        assert len(self.make().retrieve(query(person="never seen"), 5)) <= 5


class StageContract:
    """What hydrators, filters, rankers and rerankers are run with."""

    def query(self) -> Query:
        """A request."""
        return query()

    def candidates(self, count: int) -> Candidates:
        """``count`` candidates that exist in the catalogue of the component under test."""
        return candidates(count)


class HydratorContract(StageContract):
    """Columns of the candidates, nothing dropped or reordered."""

    def make(self) -> Hydrator:
        """The hydrator under test."""
        raise AssertionError("return a hydrator of yours from make()")

    def test_every_column_has_a_row_a_candidate(self) -> None:
        for count in (0, 1, 7):
            columns = self.make().hydrate(self.query(), self.candidates(count))
            assert {name: len(column) for name, column in columns.items()} == dict.fromkeys(columns, count)

    def test_the_same_query_gives_the_same_columns(self) -> None:
        hydrator, given = self.make(), self.candidates(7)
        assert same(hydrator.hydrate(self.query(), given), hydrator.hydrate(self.query(), given))

    def test_a_candidates_columns_do_not_depend_on_its_place(self) -> None:
        hydrator, given, order = self.make(), self.candidates(7), np.arange(7)[::-1]
        turned = hydrator.hydrate(self.query(), given.take(order))
        assert same({k: v[order] for k, v in hydrator.hydrate(self.query(), given).items()}, turned)


class FilterContract(StageContract):
    """A mask, and each candidate judged on its own."""

    def make(self) -> Filter:
        """The filter under test."""
        raise AssertionError("return a filter of yours from make()")

    def test_the_mask_is_bool_and_has_a_row_a_candidate(self) -> None:
        for count in (0, 1, 7):
            keep = self.make().keep(self.query(), self.candidates(count))
            assert (keep.dtype.name, keep.shape) == ("bool", (count,))

    def test_the_same_query_gives_the_same_mask(self) -> None:
        rule, given = self.make(), self.candidates(7)
        assert rule.keep(self.query(), given).tolist() == rule.keep(self.query(), given).tolist()

    def test_a_candidate_is_judged_whatever_its_place(self) -> None:
        rule, given, order = self.make(), self.candidates(7), np.arange(7)[::-1]
        turned = rule.keep(self.query(), given.take(order))
        assert rule.keep(self.query(), given)[order].tolist() == turned.tolist()

    def test_has_a_name(self) -> None:
        assert isinstance(self.make(), Filter)
        assert self.make().name


class RankerContract(StageContract):
    """Probabilities of known heads, one a candidate."""

    def make(self) -> Ranker:
        """The ranker under test."""
        raise AssertionError("return a ranker of yours from make()")

    def test_heads_are_known_and_probabilities_are_finite_and_between_0_and_1(self) -> None:
        for count in (0, 1, 7):
            heads = self.make().predict(self.query(), self.candidates(count))
            assert heads
            for head, values in heads.items():
                assert head in (*HEADS, "watch_ms")
                assert (values.dtype.name, values.shape) == ("float32", (count,))
                assert np.isfinite(values).all()
                assert (values >= 0).all()
                assert head == "watch_ms" or (values <= 1).all()

    def test_the_same_query_gives_the_same_predictions(self) -> None:
        ranker, given = self.make(), self.candidates(7)
        assert same(ranker.predict(self.query(), given), ranker.predict(self.query(), given))

    def test_a_candidate_is_judged_whatever_its_place_and_company(self) -> None:
        ranker, given, some = self.make(), self.candidates(7), np.array([5, 0, 3])
        whole, part = ranker.predict(self.query(), given), ranker.predict(self.query(), given.take(some))
        for head, values in whole.items():
            np.testing.assert_allclose(values[some], part[head], rtol=1e-4, atol=1e-6)

    def test_has_a_name(self) -> None:
        assert isinstance(self.make(), Ranker)
        assert self.make().name


class ObjectiveContract:
    """One finite number a candidate, row by row."""

    def make(self) -> Objective:
        """The objective under test."""
        raise AssertionError("return an objective of yours from make()")

    def heads(self, count: int) -> Mapping[str, F32]:
        """What it blends."""
        rng = np.random.default_rng(count)
        return {head: rng.random(count).astype(np.float32) for head in HEADS}

    def test_scores_are_float32_finite_and_one_a_candidate(self) -> None:
        for count in (0, 1, 7):
            score = self.make().score(self.heads(count))
            assert (score.dtype.name, score.shape) == ("float32", (count,))
            assert np.isfinite(score).all()

    def test_a_score_does_not_depend_on_the_other_candidates(self) -> None:
        heads, some = self.heads(7), np.array([5, 0, 3])
        part = self.make().score({head: values[some] for head, values in heads.items()})
        np.testing.assert_allclose(self.make().score(heads)[some], part, rtol=1e-5)

    def test_heads_are_left_as_they_were(self) -> None:
        heads = self.heads(7)
        before = {head: values.copy() for head, values in heads.items()}
        self.make().score(heads)
        assert same(heads, before)


class RerankerContract(StageContract):
    """Distinct positions: as many as asked for, or all there are."""

    def make(self) -> Reranker:
        """The reranker under test."""
        raise AssertionError("return a reranker of yours from make()")

    def test_fills_the_slate_with_distinct_candidates(self) -> None:
        for count in (0, 1, 7, 60):
            for k in (0, 1, 5, 7, 100):
                rows = self.make().arrange(self.query(), self.candidates(count), k).tolist()
                assert len(rows) == min(k, count)
                assert len(set(rows)) == len(rows)
                assert all(0 <= row < count for row in rows)

    def test_the_same_query_gives_the_same_arrangement(self) -> None:
        reranker, given = self.make(), self.candidates(60)
        first = reranker.arrange(self.query(), given, 10).tolist()
        assert reranker.arrange(self.query(), given, 10).tolist() == first
        assert self.make().arrange(self.query(), given, 10).tolist() == first

    def test_the_first_slot_has_the_highest_score(self) -> None:
        given = self.candidates(60)
        first = int(self.make().arrange(self.query(), given, 10)[0])
        assert given["score"][first] == given["score"].max()

    def test_candidates_are_left_as_they_were(self) -> None:
        given = self.candidates(60)
        before = {name: column.copy() for name, column in given.columns.items()}
        self.make().arrange(self.query(), given, 10)
        assert same(given.columns, before)


class ExplainerContract(StageContract):
    """Every video of a slate gets a reason in the reader's language."""

    def make(self) -> Explainer:
        """The explainer under test."""
        raise AssertionError("return an explainer of yours from make()")

    def test_every_video_has_at_least_one_reason_with_code_and_text(self) -> None:
        for count in (0, 1, 7):
            told = self.make().reasons(self.query(), self.candidates(count))
            assert len(told) == count
            for reasons in told:
                assert reasons
                assert all(isinstance(reason, Reason) and reason.code and reason.text for reason in reasons)

    def test_a_code_is_told_once_a_video(self) -> None:
        for reasons in self.make().reasons(self.query(), self.candidates(7)):
            assert len({reason.code for reason in reasons}) == len(reasons)

    def test_codes_do_not_depend_on_the_language_and_texts_do(self) -> None:
        told = [
            self.make().reasons(
                Query(**{**fields(self.query()), "context": {"language": code}}), self.candidates(7)
            )
            for code in ("zh", "en")
        ]
        codes = [[[reason.code for reason in reasons] for reasons in slate] for slate in told]
        texts = [[[reason.text for reason in reasons] for reasons in slate] for slate in told]
        assert codes[0] == codes[1]
        assert texts[0] != texts[1]

    def test_the_same_query_gives_the_same_reasons(self) -> None:
        given = self.candidates(7)
        assert self.make().reasons(self.query(), given) == self.make().reasons(self.query(), given)


class RecorderContract:
    """A decision says everything about a slate, and recording never raises."""

    def make(self, id_of: Callable[[int], str]) -> Recorder:
        """The recorder under test; ``id_of`` gives the video id of a row."""
        raise AssertionError("return a recorder of yours from make()")

    def recorded(self, recorder: Recorder) -> list[Decision]:
        """Everything it has written by now."""
        raise AssertionError("return what your recorder has written")

    def slate(self, count: int = 3, request_id: str = "r1") -> Slate:
        """As a pipeline makes it."""
        return Slate(
            request_id=request_id,
            items=candidates(count),
            model="m1",
            policy="greedy",
            reasons=tuple((Reason("trending", "text"),) for _ in range(count)),
            source_names=("trending",),
            candidate_hash="abc",
            candidate_count=9,
            dropped={"seen": 2},
            failed=("als",),
        )

    def test_a_decision_has_everything_of_the_slate(self) -> None:
        recorder, slate = self.make(str), self.slate()
        recorder.record(query(context={"hour": 3, "odd": object()}), slate)
        (decision,) = self.recorded(recorder)
        assert (decision.request_id, decision.person, decision.time_ms, decision.seed) == (
            "r1",
            "p1",
            NOW_MS,
            7,
        )
        assert (decision.model, decision.policy, decision.candidate_hash) == ("m1", "greedy", "abc")
        assert (decision.dropped, decision.failed, decision.context) == ({"seen": 2}, ("als",), {"hour": 3})
        assert [item.video_id for item in decision.items] == [str(row) for row in slate.items.video]
        assert [item.slot for item in decision.items] == [0, 1, 2]
        assert [item.score for item in decision.items] == slate.items["score"].tolist()
        assert all(item.sources == ("trending",) and item.heads == {"click": 0.5} for item in decision.items)
        assert all(item.reasons == (Reason("trending", "text"),) for item in decision.items)

    def test_a_greedy_slate_has_propensity_one(self) -> None:
        recorder = self.make(str)
        recorder.record(query(), self.slate())
        assert [item.propensity for item in self.recorded(recorder)[0].items] == [1.0, 1.0, 1.0]

    def test_an_empty_slate_is_a_decision_too(self) -> None:
        recorder = self.make(str)
        recorder.record(query(), self.slate(0))
        assert self.recorded(recorder)[0].items == ()

    def test_recording_never_raises_and_loses_only_what_is_broken(self) -> None:
        def id_of(row: int) -> str:
            raise LookupError(row)

        broken = self.make(id_of)
        broken.record(query(), self.slate())
        assert self.recorded(broken) == []
        broken.record(query(), self.slate(0, "r2"))
        assert [decision.request_id for decision in self.recorded(broken)] == ["r2"]


def fields(asked: Query) -> dict[str, Any]:
    """A query as keyword arguments."""
    return {name: getattr(asked, name) for name in Query.__slots__}
