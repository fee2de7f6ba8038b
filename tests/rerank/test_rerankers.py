"""MMR against plain loops, and what its gaps promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiliu.artifact import new_artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.rerank.mmr import Mmr, jaccard, mmr, mmr_twin, relevance
from zhiliu.rerank.topk import TopK
from zhiliu.settings import FeedSettings
from zhiliu.testing.component_contracts import NOW_MS, RerankerContract, query
from zhiliu.testing.small_world import small_columns, small_world
from zhiliu.types import Candidates, Video


class TestTopK(RerankerContract):
    def make(self) -> TopK:
        return TopK()

    def test_best_first_and_of_equal_scores_the_earlier_candidate(self) -> None:
        given = Candidates(np.arange(4, dtype=np.int32), {"score": np.array([1, 3, 3, 2], np.float32)})
        assert TopK().arrange(query(), given, 3).tolist() == [1, 2, 3]


class TestMmrByTopics(RerankerContract):
    def make(self) -> Mmr:
        return Mmr(small_columns(60), diversity=0.2, author_gap=4, topic_gap=1)


class TestMmrByVectors(RerankerContract):
    def make(self) -> Mmr:
        rng = np.random.default_rng(0)
        vectors = np.concatenate([rng.normal(size=(50, 8)), np.zeros((1, 8))]).astype(np.float32)
        positions = np.concatenate([np.arange(50), np.full(10, -1)]).astype(np.int32)
        return Mmr(
            small_columns(60), diversity=0.5, author_gap=2, topic_gap=0, vectors=vectors, positions=positions
        )


@st.composite
def pools(draw: st.DrawFn) -> dict[str, Any]:
    """A pool with few authors and topics, so that gaps are met and broken."""
    p = draw(st.integers(1, 14))
    eighths = st.integers(0, 8).map(lambda i: i / 8)
    upper = [[draw(st.integers(-4, 4)) / 4 for _ in range(p)] for _ in range(p)]
    return {
        "relevance": sorted(draw(st.lists(eighths, min_size=p, max_size=p)), reverse=True),
        "similarity": [[1.0 if i == j else upper[min(i, j)][max(i, j)] for j in range(p)] for i in range(p)],
        "author": draw(st.lists(st.integers(0, 3), min_size=p, max_size=p)),
        "topic": draw(st.lists(st.integers(0, 2), min_size=p, max_size=p)),
        "k": draw(st.integers(1, p)),
        "diversity": draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        "author_gap": draw(st.integers(0, 5)),
        "topic_gap": draw(st.integers(0, 3)),
    }


@settings(max_examples=400, deadline=None)
@given(pools())
def test_mmr_is_what_plain_loops_choose(pool: dict[str, Any]) -> None:
    similarity = np.array(pool["similarity"], np.float32)
    arrays = {name: value for name, value in pool.items() if name != "similarity"} | {
        "similar_to": lambda place: similarity[place],
        "relevance": np.array(pool["relevance"], np.float32),
        "author": np.array(pool["author"], np.int32),
        "topic": np.array(pool["topic"], np.int32),
    }
    chosen, kept_gaps = mmr(**arrays)
    assert chosen.tolist() == mmr_twin(**pool)
    assert kept_gaps == keeps_gaps(pool, chosen.tolist())


def keeps_gaps(pool: dict[str, Any], chosen: list[int]) -> bool:
    """Whether no author and no topic comes again within its gap."""
    for name in ("author", "topic"):
        codes = [pool[name][i] for i in chosen]
        for slot, code in enumerate(codes):
            if code and code in codes[max(0, slot - pool[f"{name}_gap"]) : slot]:
                return False
    return True


def ranked(rows: list[int], scores: list[float]) -> Candidates:
    return Candidates(np.array(rows, np.int32), {"score": np.array(scores, np.float32)})


def test_the_same_author_and_topic_keep_their_distance_while_others_are_left() -> None:
    videos = small_columns(70)
    given_rows = ranked(list(range(70)), [1 - i / 100 for i in range(70)])
    chosen = Mmr(videos, diversity=0.0, author_gap=4, topic_gap=2).arrange(query(), given_rows, 20)
    author, topic = videos.author[chosen].tolist(), videos.tag[chosen, 0].tolist()
    for slot in range(20):
        assert author[slot] not in author[max(0, slot - 4) : slot]
        assert topic[slot] not in topic[max(0, slot - 2) : slot]


def test_hundreds_of_better_videos_by_one_author_do_not_close_the_gap_while_others_are_left() -> None:
    videos = VideoColumns.build(
        (i, Video(video_id=f"v{i}", author_id="prolific" if i < 300 else f"a{i}", tags=(f"t{i}",)))
        for i in range(310)
    )
    given_rows = ranked(list(range(310)), [1 - i / 1000 for i in range(310)])
    chosen = Mmr(videos, diversity=0.2, author_gap=4, topic_gap=1).arrange(query(), given_rows, 10)
    author = videos.author[chosen].tolist()
    assert all(author[slot] not in author[max(0, slot - 4) : slot] for slot in range(10))
    assert author.count(author[0]) == 2


def test_a_slate_of_one_author_is_filled_all_the_same() -> None:
    rows = [0, 10, 20, 30]
    chosen = Mmr(small_columns(), diversity=0.2, author_gap=4, topic_gap=1).arrange(
        query(), ranked(rows, [0.1, 0.4, 0.2, 0.3]), 4
    )
    assert sorted(chosen.tolist()) == [0, 1, 2, 3]
    assert chosen[0] == 1


def test_without_diversity_and_gaps_it_is_the_order_of_scores() -> None:
    given_rows = ranked(list(range(30)), [(i * 7 % 30) / 30 for i in range(30)])
    plain = Mmr(small_columns(), diversity=0.0, author_gap=0, topic_gap=0).arrange(query(), given_rows, 10)
    assert plain.tolist() == TopK().arrange(query(), given_rows, 10).tolist()


def test_more_diversity_brings_more_kinds_of_video_into_a_slate_that_one_kind_would_fill() -> None:
    kind = np.arange(60) // 10  # ten videos of each of six kinds, the first kind has the best scores
    vectors = np.eye(6, dtype=np.float32)[np.append(kind, 0)]
    given_rows = ranked(list(range(60)), (1 - np.arange(60) / 60).tolist())
    kinds = []
    for diversity in (0.0, 0.4, 1.0):
        reranker = Mmr(
            small_columns(60), diversity=diversity, author_gap=0, topic_gap=0, vectors=vectors,
            positions=np.arange(60, dtype=np.int32),
        )  # fmt: skip
        kinds.append(len(set(kind[reranker.arrange(query(), given_rows, 10)].tolist())))
    assert kinds[0] == 1
    assert kinds[0] < kinds[1] < kinds[2] == 6


def test_the_vectors_of_the_artifact_are_used_by_id_and_a_new_video_is_like_nothing(tmp_path: Path) -> None:
    with new_artifact(tmp_path, created_ms=NOW_MS) as writer:
        writer.json("video_ids", ["v8", "v4"])
        writer.array("text_video", np.array([[3, 0], [1, 1]], np.float32))
    feed = FeedSettings(diversity=0.3)
    reranker = Mmr.from_world(small_world(artifact=writer.artifact, feed=feed))
    assert reranker.diversity == 0.3
    similar_to = reranker.similar_to(np.array([4, 8, 1], np.int32))
    similarity = [similar_to(place) for place in range(3)]
    np.testing.assert_allclose(similarity, [[1, 0.5**0.5, 0], [0.5**0.5, 1, 0], [0, 0, 0]], rtol=1e-6)


def test_jaccard_counts_each_topic_once_and_none_for_no_topics() -> None:
    tag = np.array([[1, 2, 0, 0], [2, 3, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0], [2, 2, 0, 0]], np.int32)
    shared = jaccard(tag)
    assert shared(0).tolist() == [1.0, np.float32(1 / 3), 1.0, 0.0, 0.5]
    assert shared(3).tolist() == [0.0] * 5


def test_relevance_runs_from_one_to_zero_and_equal_scores_are_all_one() -> None:
    assert relevance(np.array([9, 4, -1], np.float32)).tolist() == [1.0, 0.5, 0.0]
    assert relevance(np.array([2, 2], np.float32)).tolist() == [1.0, 1.0]
