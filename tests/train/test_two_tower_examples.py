"""An example of the two towers knows nothing of what came after it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.train_fixtures import snapshot_of

from zhiliu.features.tower import profile_numeric
from zhiliu.testing.synthetic import SyntheticLog, synthetic_log
from zhiliu.train.log import TrainingLog
from zhiliu.train.two_tower_data import DAYS, Examples

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def made() -> SyntheticLog:
    return synthetic_log(people=6, videos=12, impressions=400, days=60)


@pytest.fixture(scope="module")
def whole(made: SyntheticLog, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return examples_of(made, tmp_path_factory.mktemp("whole"))


def examples_of(log: SyntheticLog, folder: Path) -> Examples:
    """Examples of everything in a log."""
    loaded = TrainingLog.load(snapshot_of(log, folder))
    until_ms = int(loaded.history.time_ms.max()) + 1
    return Examples.of(loaded, None, until_ms, 10, 1e12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_example_does_not_change_when_later_events_are_added(
    made: SyntheticLog, whole: Examples, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    told = np.flatnonzero(whole.log.history.time_ms >= whole.day_start_ms)
    row = int(data.draw(st.sampled_from(told.tolist())))
    moment = int(whole.log.history.time_ms[row])
    before = replace(made, events=[e for e in made.events if e.time <= moment])
    past = examples_of(before, tmp_path_factory.mktemp("past"))
    name = whole.log.people[whole.log.person[row]]
    at = int(past.log.start[past.log.people.index(name) + 1]) - 1
    assert past.log.history.time_ms[at] == moment
    one, other = whole.batch(np.array([row])), past.batch(np.array([at]))
    for field in fields(one):
        if field.name != "log_q":  # how often the target is drawn: a correction of the loss, not an input
            a, b = getattr(one, field.name).numpy(), getattr(other, field.name).numpy()
            np.testing.assert_allclose(a, b, atol=1e-6, err_msg=field.name)


def test_an_example_older_than_the_levels_is_told_none(whole: Examples) -> None:
    early = np.flatnonzero(whole.log.history.time_ms < whole.day_start_ms)
    assert len(early) > 50
    assert whole.popularity[0].any(), "else zero says nothing"
    assert not whole.batch(early).level[:, 0].any()
    assert whole.batch(np.flatnonzero(whole.log.history.time_ms > whole.day_start_ms)).level[:, 0].any()
    assert len(whole.popularity) == DAYS + 1


def test_a_profile_is_as_old_as_the_example(whole: Examples) -> None:
    rows = np.arange(0, len(whole.log), 17)
    numeric = whole.batch(rows).numeric.numpy()
    for row, told in zip(rows, numeric, strict=True):
        person, moment = whole.log.profiles[whole.log.person[row]], int(whole.log.history.time_ms[row])
        np.testing.assert_allclose(told[:-1], profile_numeric(person, moment, 0)[:-1], atol=1e-6)
