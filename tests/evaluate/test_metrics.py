"""Our metrics against scikit-learn and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from zhiliu.evaluate.metrics import auc, bootstrap_people, ece, log_loss, mse, person_auc, weighted_auc
from zhiliu.evaluate.ranking import Rows, difference, judge
from zhiliu.types import HEADS


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with ties, people; both classes are there."""
    n = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    label = rng.integers(0, 2, n).astype(float)
    label[:2] = (0, 1)
    score = np.round(rng.random(n), draw(st.integers(1, 3)))
    return label, score, rng.integers(0, draw(st.integers(1, 8)), n)


@settings(max_examples=80, deadline=None)
@given(judged())
def test_auc_is_scikit_learns(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    label, score, _ = data
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score))


@settings(max_examples=80, deadline=None)
@given(judged())
def test_gauc_is_the_impression_weighted_mean_over_people_with_both_outcomes(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    label, score, person = data
    values, weights = [], []
    for p in np.unique(person):
        own = person == p
        if 0 < label[own].sum() < own.sum():
            values.append(roc_auc_score(label[own], score[own]))
            weights.append(own.sum())
    expected = np.average(values, weights=weights) if values else float("nan")
    assert person_auc(label, score, person).mean() == pytest.approx(expected, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_weighted_auc_is_the_auc_of_rows_repeated(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    label, score, _ = data
    weight = np.random.default_rng(0).integers(1, 4, len(label))
    repeated = np.repeat(np.arange(len(label)), weight)
    expected = roc_auc_score(label[repeated], score[repeated])
    assert weighted_auc(label, score)(weight.astype(float)) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_losses_are_scikit_learns(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    label, score, _ = data
    probability = np.clip(score, 0.01, 0.99)
    assert log_loss(label, probability) == pytest.approx(sklearn_log_loss(label, probability))
    assert mse(label, probability) == pytest.approx(brier_score_loss(label, probability))


def test_ece_is_zero_when_said_and_happened_agree_and_the_gap_when_they_do_not() -> None:
    label = np.tile([0.0, 0.0, 0.0, 1.0], 300)
    assert ece(label, np.full(1200, 0.25)) == pytest.approx(0, abs=1e-9)
    assert ece(label, np.full(1200, 0.65)) == pytest.approx(0.4)


def test_the_interval_holds_the_value_and_shrinks_with_more_people() -> None:
    rng = np.random.default_rng(1)

    def width(people: int) -> float:
        person = np.repeat(np.arange(people), 10)
        labels = np.zeros((len(person), len(HEADS)), np.float32)
        labels[:, 0] = rng.random(len(person)) < 0.4
        score = (labels[:, 0] * 0.3 + rng.random(len(person))).astype(np.float32)
        report = judge(Rows(person, labels), {"click": score})["click"]
        assert report.auc.low <= report.auc.value <= report.auc.high
        assert report.gauc.low <= report.gauc.value <= report.gauc.high
        return report.auc.high - report.auc.low

    assert width(400) < width(40)


def test_a_model_against_itself_differs_by_nothing() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random((300, len(HEADS))) < 0.5).astype(np.float32)
    rows, score = Rows(np.repeat(np.arange(30), 10), labels), rng.random(300).astype(np.float32)
    report = judge(rows, {"click": score})["click"]
    for interval in difference(report, report):
        assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_a_head_with_one_outcome_only_is_left_out_instead_of_judged() -> None:
    labels = np.zeros((10, len(HEADS)), np.float32)
    assert judge(Rows(np.zeros(10, np.int64), labels), {"click": np.ones(10, np.float32)}) == {}


def test_a_resample_draws_as_many_people_as_there_are() -> None:
    draws = bootstrap_people(np.array([0, 0, 1, 2]), 5, seed=0)
    assert draws.sum(1).tolist() == [3] * 5
