import importlib.util
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zhiliu.index.exact import ExactIndex, batched_similarity, top_k, top_k_per_person
from zhiliu.index.faiss import FaissIndex

RNG = np.random.default_rng(7)
HAS_FAISS = importlib.util.find_spec("faiss") is not None


def slow_similarity(people, videos, metric):
    """The twin: one pair at a time, as the formula is written."""
    out = np.zeros((len(people), len(videos)))
    for i, u in enumerate(people):
        for j, v in enumerate(videos):
            lengths = np.sqrt((u**2).sum()) * np.sqrt((v**2).sum())
            dot = float((u * v).sum())
            out[i, j] = dot if metric == "dot" else (dot / lengths if lengths > 0 else 0.0)
    return out


def slow_top_k(scores, k):
    return np.array(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k], np.int32)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.integers(1, 400),
        elements=st.sampled_from([-np.inf, -2.0, 0.0, 0.5, 1.0, 3.0]) | st.floats(-9, 9, width=32),
    ),
    st.integers(1, 30),
)
def test_top_k_equals_a_full_sort_ties_included(scores, k):
    assert top_k(scores, k).tolist() == slow_top_k(scores, k).tolist()


def test_top_k_of_many_scores_equals_a_full_sort():
    scores = RNG.normal(size=100_003).astype(np.float32)
    assert top_k(scores, 250).tolist() == slow_top_k(scores, 250).tolist()


@pytest.mark.parametrize("metric", ["dot", "cosine"])
def test_the_streamed_matrix_equals_pair_by_pair(metric):
    people, videos = RNG.normal(size=(13, 5)).astype(np.float32), RNG.normal(size=(11, 5)).astype(np.float32)
    videos[3] = 0
    blocks = [(first, block.copy()) for first, block in batched_similarity(people, videos, metric, batch=4)]
    assert [first for first, _ in blocks] == [0, 4, 8, 12]
    whole = np.concatenate([block for _, block in blocks])
    np.testing.assert_allclose(whole, slow_similarity(people, videos, metric), atol=1e-5)
    ids, scores = top_k_per_person(people, videos, 3, metric, batch=4)
    for i, row in enumerate(whole):
        assert ids[i].tolist() == slow_top_k(row, 3).tolist()
        assert scores[i].tolist() == row[ids[i]].tolist()


def test_a_matrix_of_over_a_gigabyte_is_never_in_memory_at_once():
    people, videos = (
        RNG.normal(size=(18_000, 4)).astype(np.float32),
        RNG.normal(size=(16_000, 4)).astype(np.float32),
    )
    dense_bytes = len(people) * len(videos) * 4
    assert dense_bytes > 1_000_000_000
    tracemalloc.start()
    total, rows = 0.0, 0
    for _, block in batched_similarity(people, videos, "cosine", batch=256):
        total += float(block[:, 0].sum())
        rows += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == len(people)
    assert peak < dense_bytes / 40
    unit = people / np.linalg.norm(people, axis=1, keepdims=True)
    assert total == pytest.approx(
        float((unit @ videos[0]).sum() / np.linalg.norm(videos[0])), rel=1e-2, abs=0.5
    )


class IndexContract:
    """What every index keeps to."""

    def make(self, vectors, metric="dot"):
        raise AssertionError("a subclass makes the index")

    def test_scores_fall_and_ids_are_unique(self):
        vectors = RNG.normal(size=(3000, 16)).astype(np.float32)
        ids, scores = self.make(vectors).search(RNG.normal(size=(5, 16)).astype(np.float32), 20)
        assert ids.shape == scores.shape == (5, 20)
        assert ids.dtype == np.int32
        assert (np.diff(scores, axis=1) <= 1e-6).all()
        assert all(len(set(row)) == 20 for row in ids.tolist())

    def test_excluded_rows_never_come_back(self):
        vectors = RNG.normal(size=(500, 8)).astype(np.float32)
        query = vectors[:1]
        first = self.make(vectors, "cosine").search(query, 5)[0][0]
        ids, _ = self.make(vectors, "cosine").search(query, 5, exclude=first[:2])
        assert not set(first[:2].tolist()) & set(ids[0].tolist())

    def test_asking_for_more_than_there_is_pads_with_minus_one(self):
        ids, scores = self.make(np.eye(3, dtype=np.float32)).search(np.ones((1, 3), np.float32), 5)
        assert sorted(ids[0].tolist()) == [-1, -1, 0, 1, 2]
        assert np.isneginf(scores[0, 3:]).all()

    def test_nearly_every_true_neighbour_is_found(self):
        vectors = RNG.normal(size=(4000, 16)).astype(np.float32)
        queries = RNG.normal(size=(20, 16)).astype(np.float32)
        ids, _ = self.make(vectors, "cosine").search(queries, 50)
        true, _ = top_k_per_person(queries, vectors, 50, "cosine")
        hits = [len(set(a) & set(b)) / 50 for a, b in zip(ids.tolist(), true.tolist(), strict=True)]
        assert np.mean(hits) > 0.85

    def test_wrong_shapes_and_nan_are_refused_by_name(self):
        index = self.make(np.eye(3, dtype=np.float32))
        with pytest.raises(ValueError, match="queries has 2 columns; the other side has 3"):
            index.search(np.ones((1, 2), np.float32), 1)
        with pytest.raises(ValueError, match="k is 0"):
            index.search(np.ones((1, 3), np.float32), 0)
        with pytest.raises(ValueError, match="NaN or infinity, first in row 1"):
            self.make(np.array([[1.0], [np.nan]], np.float32))
        with pytest.raises(ValueError, match="'dot' or 'cosine'"):
            self.make(np.eye(2, dtype=np.float32), "l2")


class TestExact(IndexContract):
    def make(self, vectors, metric="dot"):
        return ExactIndex(vectors, metric)

    def test_an_empty_catalogue_finds_nothing(self):
        ids, _ = ExactIndex(np.zeros((0, 4), np.float32)).search(np.ones((2, 4), np.float32), 3)
        assert (ids == -1).all()


@pytest.mark.skipif(not HAS_FAISS, reason="needs the extra: pip install 'zhiliu[scale]'")
class TestFaiss(IndexContract):
    def make(self, vectors, metric="dot"):
        return FaissIndex(vectors, metric, cells=32, probe=24)


@pytest.mark.skipif(HAS_FAISS, reason="faiss is installed")
def test_without_the_extra_the_message_says_what_to_install():
    with pytest.raises(ModuleNotFoundError, match=r"zhiliu\[scale\]"):
        FaissIndex(np.eye(3, dtype=np.float32))
