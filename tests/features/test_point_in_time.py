"""No feature sees the future, and training sees what serving sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.train_fixtures import snapshot_of

from zhiliu.features import profile
from zhiliu.features.builder import Features, build, numeric_names
from zhiliu.features.counters import KINDS, STATS, Counters, Increments, Replay, key_count
from zhiliu.features.history import Ask, Window
from zhiliu.features.social import Heard
from zhiliu.live.state import LiveState
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.synthetic import START_MS, SyntheticLog, synthetic_log
from zhiliu.train.log import TrainingLog
from zhiliu.types import Event, EventType, History

LENGTH = 16
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    made = synthetic_log(people=12, videos=20, impressions=600)
    events = sorted([*made.events, *ties(made)], key=lambda event: event.time)
    return replace(made, events=events)


def ties(made: SyntheticLog) -> list[Event]:
    """People follow and unfollow those of them who are authors too, and some likes are taken back."""
    rng = np.random.default_rng(1)
    told = []
    for n in range(80):
        kind = EventType.UNFOLLOW if n % 4 == 3 else EventType.FOLLOW
        told.append(
            Event(
                event_id=f"tie{n}", type=kind, time=START_MS + int(rng.integers(0, 6 * DAY_MS)),
                person_id=f"p{rng.integers(12)}", props={"author_id": f"p{rng.choice([1, 3])}"},
            )
        )  # fmt: skip
    for n in range(60):
        liked = Event(
            event_id=f"tie-like{n}", type=EventType.LIKE, time=START_MS + int(rng.integers(0, 6 * DAY_MS)),
            person_id=f"p{rng.choice([1, 3])}", video_id=f"v{rng.integers(20)}",
        )  # fmt: skip
        told.append(liked)
        if n % 3 == 0:
            told.append(
                structs.replace(liked, event_id=f"un{n}", type=EventType.UNLIKE, time=liked.time + DAY_MS)
            )
    return told


@pytest.fixture(scope="module")
def whole(log: SyntheticLog, tmp_path_factory: pytest.TempPathFactory) -> TrainingLog:
    return TrainingLog.load(snapshot_of(log, tmp_path_factory.mktemp("whole")))


def features_at(log: TrainingLog, row: int, state_ms: int) -> Features:
    """Features of one row of ``log``, asked for by what it is, not by where it stands."""
    rows = np.array([row])
    h = log.history
    person, video, surface = log.person[rows], h.video[rows], h.surface[rows]
    _, features = next(log.features(person, video, surface, h.time_ms[rows], np.array([state_ms]), LENGTH))
    return features


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_feature_changes_when_later_events_are_added(
    log: SyntheticLog, whole: TrainingLog, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(whole) - 1))
    moment = int(whole.history.time_ms[row])
    cut = SyntheticLog(
        videos=log.videos, people=log.people, events=[e for e in log.events if e.time <= moment]
    )
    past = TrainingLog.load(snapshot_of(cut, tmp_path_factory.mktemp("past")))
    person = past.people.index(whole.people[whole.person[row]])
    at = int(past.start[person + 1]) - 1  # the same impression is the person's last row
    assert past.history.time_ms[at] == moment
    with_future, without = features_at(whole, row, moment), features_at(past, at, moment)
    for name, a, b in zip(numeric_names(), with_future.numeric[0], without.numeric[0], strict=True):
        assert a == pytest.approx(b, abs=1e-5), f"{name} saw the future"
    np.testing.assert_array_equal(with_future.context, without.context)
    np.testing.assert_array_equal(with_future.past_mask, without.past_mask)
    np.testing.assert_allclose(with_future.past, without.past, atol=1e-5)


def test_the_check_for_the_future_can_fail(whole: TrainingLog) -> None:
    row = len(whole) // 2
    moment = int(whole.history.time_ms[row])
    later = features_at(whole, row, moment + 86_400_000)
    assert np.abs(later.numeric - features_at(whole, row, moment).numeric).max() > 1e-3


def test_the_likes_of_followed_people_are_in_the_log_that_is_tried(whole: TrainingLog) -> None:
    """Else the tests around this one say nothing about them."""
    h = whole.history
    every = np.concatenate([
        f.numeric for _, f in whole.features(whole.person, h.video, h.surface, h.time_ms, h.time_ms, LENGTH)
    ])  # fmt: skip
    for name in ("followed_likes", "followed_liked_author"):
        column = every[:, numeric_names().index(name)]
        assert 0.05 < np.mean(column > 0) < 0.95


def test_serving_sees_what_training_saw(log: SyntheticLog, whole: TrainingLog) -> None:
    """Live counters, the live circle and one shared window against the replay and a window a row."""
    for row in range(100, len(whole), 67):
        moment = int(whole.history.time_ms[row])
        counters = Counters(whole.videos)
        counters.add(whole.counted.before(moment))
        person = int(whole.person[row])
        own = slice(int(whole.start[person]), int(whole.start[person + 1]))
        h = whole.history
        history = History(
            video=h.video[own], time_ms=h.time_ms[own], watch_ms=h.watch_ms[own],
            watch_known_ms=h.watch_known_ms[own], label_ms=h.label_ms[own], surface=h.surface[own],
        )  # fmt: skip
        now = np.array([moment])
        ask = Ask(h.video[row : row + 1], h.surface[row : row + 1], now, now)
        window = Window.of(history, moment, LENGTH)
        profiles = profile.numeric(whole.profiles[person], moment // 86_400_000 * 86_400_000)[None]
        events = MemoryLog()
        events.append([event for event in log.events if event.time < moment])
        known = LiveState(events, whole.videos).view(whole.people[person], moment)
        heard = Heard.of(known.followed_likes, moment)
        live = build(ask, window, heard, whole.videos, counters, profiles, whole.timezone_offset_h)
        trained = features_at(whole, row, moment)
        np.testing.assert_allclose(live.numeric, trained.numeric, atol=1e-4)
        np.testing.assert_allclose(live.past, trained.past, atol=1e-4)


def test_many_candidates_of_one_person_get_what_each_would_get_alone(whole: TrainingLog) -> None:
    history = History(
        video=whole.history.video[:40], time_ms=np.sort(whole.history.time_ms[:40]),
        watch_ms=whole.history.watch_ms[:40], watch_known_ms=whole.history.watch_known_ms[:40],
        label_ms=whole.history.label_ms[:40], surface=whole.history.surface[:40],
    )  # fmt: skip
    moment = int(whole.history.time_ms.max())
    counters = Counters(whole.videos)
    counters.add(whole.counted)
    now, surface = np.array([moment]), np.array([1], np.int32)
    window, profiles = Window.of(history, moment, LENGTH), profile.numeric(None, moment)[None]
    heard = Heard(
        np.array([[True, True, False]]), np.array([[0, 7, 14]], np.int32), np.full((1, 3), moment - 1000)
    )
    video = np.arange(len(whole.videos), dtype=np.int32)
    together = build(Ask(video, surface, now, now), window, heard, whole.videos, counters, profiles, 8.0)
    for v in video[::7]:
        alone = build(
            Ask(video[v : v + 1], surface, now, now), window, heard, whole.videos, counters, profiles, 8.0
        )
        np.testing.assert_allclose(together.numeric[v], alone.numeric[0], rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_live_counters_and_replay_agree_at_any_moment(whole: TrainingLog, data: st.DataObject) -> None:
    moment = START_MS + data.draw(st.integers(0, 9 * 86_400_000))
    counters = Counters(whole.videos)
    before = whole.counted.before(moment)
    cut = data.draw(st.integers(0, len(before.time_ms)))
    counters.add(
        Increments(before.video[:cut], before.surface[:cut], before.time_ms[:cut], before.stats[:cut])
    )
    counters.add(
        Increments(before.video[cut:], before.surface[cut:], before.time_ms[cut:], before.stats[cut:])
    )
    kind = data.draw(st.sampled_from(KINDS))
    key = np.arange(key_count(kind, whole.videos))
    live = counters.read(kind, key, np.array([moment]))
    np.testing.assert_allclose(live, whole.counters.read(kind, key, np.full(len(key), moment)), atol=1e-9)


def test_a_count_halves_in_two_weeks(whole: TrainingLog) -> None:
    replay = Replay(whole.videos, whole.counted)
    end = int(whole.counted.time_ms[-1]) + 1
    zero = np.zeros(1, np.int64)
    now = replay.read("all", zero, np.array([end]))
    later = replay.read("all", zero, np.array([end + 14 * 86_400_000]))
    np.testing.assert_allclose(later, now / 2)
    assert now.shape == (1, len(STATS))


def test_counters_keep_their_numbers_when_the_origin_moves(whole: TrainingLog) -> None:
    years = 3 * 365 * 86_400_000
    far = Increments(
        whole.counted.video, whole.counted.surface, whole.counted.time_ms + years, whole.counted.stats
    )
    counters = Counters(whole.videos)
    counters.add(whole.counted)
    counters.add(far)
    fresh = Counters(whole.videos)
    fresh.add(far)
    now = np.array([int(far.time_ms[-1]) + 1])
    key = np.arange(len(whole.videos))
    np.testing.assert_allclose(counters.read("video", key, now), fresh.read("video", key, now), rtol=1e-9)


def test_a_person_without_a_past_gets_features(whole: TrainingLog) -> None:
    moment = np.array([int(whole.history.time_ms.max())])
    nobody, one = np.array([-1], np.int32), np.array([1], np.int32)
    _, features = next(whole.features(nobody, one, one, moment, moment, LENGTH))
    assert np.isfinite(features.numeric).all()
    assert not features.past_mask.any()
