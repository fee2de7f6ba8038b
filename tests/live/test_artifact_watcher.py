"""Only whole artifacts serve, and never an older one than serves already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zhiliu.artifact import MANIFEST, Artifact, new_artifact
from zhiliu.live.artifacts import ArtifactWatcher

START_MS = 1_650_000_000_000


def train(root: Path, number: int) -> Artifact:
    with new_artifact(root, created_ms=START_MS + number * 60_000) as writer:
        writer.array("popularity", np.full(100, number, np.float32))
        writer.json("video_ids", [f"v{i}" for i in range(100)])
    assert writer.artifact is not None
    return writer.artifact


def truncate(artifact: Artifact) -> None:
    file = artifact.path / "popularity.npy"
    file.write_bytes(file.read_bytes()[:-10])


def flip_a_bit(artifact: Artifact) -> None:
    file = artifact.path / "popularity.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def remove(artifact: Artifact) -> None:
    (artifact.path / "popularity.npy").unlink()


def break_manifest(artifact: Artifact) -> None:
    (artifact.path / MANIFEST).write_text('{"schema": 1, "fi', "utf-8")


def empty_manifest(artifact: Artifact) -> None:
    (artifact.path / MANIFEST).write_text('{"schema": 1}', "utf-8")


DAMAGE = [truncate, flip_a_bit, remove, break_manifest, empty_manifest]


def test_nothing_is_found_where_nothing_was_trained(tmp_path: Path) -> None:
    assert ArtifactWatcher(tmp_path / "nowhere").poll() is None


def test_the_newest_is_found_and_what_serves_is_not_found_again(tmp_path: Path) -> None:
    train(tmp_path, 1)
    newest = train(tmp_path, 2)
    watcher = ArtifactWatcher(tmp_path)
    found = watcher.poll()
    assert found is not None
    assert found.version == newest.version
    watcher.accept(found)
    assert watcher.poll() is None
    newer = train(tmp_path, 3)
    again = watcher.poll()
    assert again is not None
    assert again.version == newer.version


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newer_one_is_refused_and_the_old_one_stays(tmp_path: Path, damage: object) -> None:
    watcher = ArtifactWatcher(tmp_path)
    train(tmp_path, 1)
    old = train(tmp_path, 2)
    found = watcher.poll()
    assert found is not None
    watcher.accept(found)
    newer = train(tmp_path, 3)
    damage(newer)  # type: ignore[operator]
    assert watcher.poll() is None
    assert watcher.current is not None
    assert watcher.current.version == old.version
    assert list(watcher.refused) == [newer.version]
    assert watcher.refused[newer.version]


@pytest.mark.parametrize("damage", DAMAGE)
def test_with_none_serving_an_older_whole_one_is_better_than_none(tmp_path: Path, damage: object) -> None:
    old, newest = train(tmp_path, 1), train(tmp_path, 2)
    damage(newest)  # type: ignore[operator]
    found = ArtifactWatcher(tmp_path).poll()
    assert found is not None
    assert found.version == old.version


def test_a_folder_without_manifest_or_still_being_written_is_not_looked_at(tmp_path: Path) -> None:
    old = train(tmp_path, 1)
    unfinished = train(tmp_path, 2)
    (unfinished.path / MANIFEST).unlink()
    watcher = ArtifactWatcher(tmp_path)
    with new_artifact(tmp_path, created_ms=START_MS + 600_000) as writer:
        writer.array("popularity", np.zeros(3, np.float32))
        found = watcher.poll()
    assert found is not None
    assert found.version == old.version
    assert watcher.refused == {}


def test_a_refused_one_is_tried_again_once_it_was_mended(tmp_path: Path) -> None:
    artifact = train(tmp_path, 1)
    file = artifact.path / "popularity.npy"
    whole = file.read_bytes()
    truncate(artifact)
    watcher = ArtifactWatcher(tmp_path)
    assert watcher.poll() is None
    assert watcher.poll() is None
    file.write_bytes(whole)
    assert watcher.poll() is not None


def test_one_that_was_refused_by_its_user_is_not_offered_again(tmp_path: Path) -> None:
    old, newest = train(tmp_path, 1), train(tmp_path, 2)
    watcher = ArtifactWatcher(tmp_path)
    watcher.refuse(newest.version, "trained with other features")
    found = watcher.poll()
    assert found is not None
    assert found.version == old.version
    assert watcher.refused == {newest.version: "trained with other features"}
