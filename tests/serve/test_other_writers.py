"""What other processes write to the store reaches a running server; a store that fails loses no change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from small_catalogue import videos

from zhiliu.serve.clock import Clock
from zhiliu.serve.keeper import Keeper
from zhiliu.serve.metrics import Metrics
from zhiliu.serve.profiles import KEPT_S, Profiles
from zhiliu.settings import Settings, StoreSettings
from zhiliu.store import Store, open_store
from zhiliu.store.catalog import StoredCatalog
from zhiliu.types import Person, Video


class Unsteady(StoredCatalog):
    """A catalogue whose next readings fail, as many as said, and that counts the others."""

    failures = 0
    readings = 0

    def rows(self, after_row: int = -1, limit: int | None = None) -> Sequence[tuple[int, Video]]:
        if self.failures:
            self.failures -= 1
            raise OSError("the disk does not answer")
        self.readings += 1
        return super().rows(after_row, limit)


def keeper_of(settings: Settings, store: Store) -> Keeper:
    return Keeper(settings, store, Metrics(), Clock())


def title(keeper: Keeper, video_id: str) -> str:
    return keeper.cards.title_of(keeper.serving.world.videos.row_of[video_id])


def retitled(video_id: str, text: str) -> Video:
    return Video(video_id=video_id, author_id="someone new", title=text)


def test_a_change_whose_reading_failed_is_read_at_the_next_look(settings: Settings, store: Store) -> None:
    store.catalog = unsteady = Unsteady(store.database)
    keeper = keeper_of(settings, store)
    store.catalog.put([retitled("v1", "new")])
    unsteady.failures = 1
    with ThreadPoolExecutor(1) as thread, pytest.raises(OSError, match="does not answer"):
        thread.submit(
            lambda: asyncio.run(keeper.changed(["v1"]))
        ).result()  # the browser tests leave a loop running
    assert title(keeper, "v1") == "第 1 课"
    keeper.look()
    assert title(keeper, "v1") == "new"


@pytest.fixture(params=["sqlite", "postgres"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return Settings(workspace=tmp_path / "w", store=StoreSettings(url=url))


def test_edits_deletions_and_imports_of_another_process_are_followed(
    anywhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zhiliu.serve.keeper.ALL_AGAIN_S", 0.0)
    with open_store(anywhere.store_url) as store, open_store(anywhere.store_url) as other:
        store.catalog.put(videos())
        keeper = keeper_of(anywhere, store)
        other.catalog.put([retitled("v1", "edited")])
        other.catalog.delete("v2")
        keeper.look()
        shown = keeper.serving.world.videos
        assert title(keeper, "v1") == "edited"
        assert shown.authors.names[shown.author[shown.row_of["v1"]]] == "someone new"
        assert not shown.visible[shown.row_of["v2"]]
        other.bulk_videos(
            pl.DataFrame({"video_id": ["v3", "new"], "author_id": ["a", "a"], "title": ["imported", "too"]})
        )
        keeper.look()
        assert title(keeper, "v3") == "imported"
        assert title(keeper, "new") == "too"
        assert len(keeper.serving.world.videos) == len(shown) + 1


def test_a_catalogue_that_could_not_be_read_again_is_read_at_a_later_look(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zhiliu.serve.keeper.ALL_AGAIN_S", 0.0)
    store.catalog = unsteady = Unsteady(store.database)
    keeper = keeper_of(settings, store)
    with open_store(settings.store_url) as other:
        other.catalog.put([retitled("v1", "edited")])
    unsteady.failures = 1
    with pytest.raises(OSError, match="does not answer"):
        keeper.follow_others()
    keeper.look()
    assert title(keeper, "v1") == "edited"


def test_the_server_s_own_writes_do_not_make_it_read_everything_again(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zhiliu.serve.keeper.ALL_AGAIN_S", 0.0)
    store.catalog = unsteady = Unsteady(store.database)
    keeper = keeper_of(settings, store)
    store.catalog.put([retitled("v1", "own")])
    store.catalog.delete("v2")
    unsteady.readings = 0
    keeper.follow_others()
    assert unsteady.readings == 0


def test_a_profile_another_process_wrote_is_seen_when_the_kept_one_is_old(
    settings: Settings, store: Store
) -> None:
    now_s = 0.0
    profiles = Profiles(store.people, lambda: now_s)
    assert profiles.get("7") == Person(person_id="7", age_band="18-24")
    with open_store(settings.store_url) as other:
        other.people.put([Person(person_id="7", age_band="25-34")])
    assert profiles.fresh("7")
    now_s = KEPT_S
    assert not profiles.fresh("7")
    found = profiles.get("7")
    assert found is not None
    assert found.age_band == "25-34"


def test_a_profile_read_before_a_change_is_not_kept_after_it(store: Store) -> None:
    class ChangedMeanwhile:
        """People of whom one is written between the reading and the keeping."""

        def __getattr__(self, name: str) -> object:
            return getattr(store.people, name)

        def get(self, person_id: str) -> Person | None:
            found = store.people.get(person_id)
            store.people.put([Person(person_id="7", age_band="25-34")])
            profiles.changed("7")
            return found

    profiles = Profiles(ChangedMeanwhile())  # type: ignore[arg-type]
    before = profiles.get("7")
    assert before is not None
    assert before.age_band == "18-24"
    after = profiles.get("7")
    assert after is not None
    assert after.age_band == "25-34"
