"""Only whole artifacts serve, and never an older one than serves already."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zhiliu.artifact import MANIFEST, Artifact, ArtifactError, new_artifact, open_artifact
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


def rewritten(**changes: Any) -> Callable[[Artifact], None]:
    """Damage: fields of the manifest replaced, or (None) gone."""

    def damage(artifact: Artifact) -> None:
        told = {key: value for key, value in {**artifact.manifest, **changes}.items() if value is not None}
        (artifact.path / MANIFEST).write_text(json.dumps(told), "utf-8")

    return damage


def list_as_manifest(artifact: Artifact) -> None:
    (artifact.path / MANIFEST).write_text("[1]", "utf-8")


def nested_without_end(artifact: Artifact) -> None:
    (artifact.path / MANIFEST).write_text("[" * 100_000, "utf-8")


MALFORMED = {
    "version must": rewritten(version=None),
    "version must be": rewritten(version=7),
    "created_ms must": rewritten(created_ms=None),
    "created_ms must be": rewritten(created_ms="then"),
    "files must": rewritten(files=None),
    "files must be": rewritten(files=["popularity.npy"]),
    "popularity.npy.* bytes": rewritten(files={"popularity.npy": 7}),
    "popularity.npy.* must have bytes": rewritten(files={"popularity.npy": {"bytes": "7", "sha256": ""}}),
    "popularity.npy.* sha256": rewritten(files={"popularity.npy": {"bytes": 7}}),
    "'/etc/hosts' is not a name inside": rewritten(files={"/etc/hosts": {"bytes": 1, "sha256": ""}}),
    r"'a/\.\./\.\./b' is not a name inside": rewritten(files={"a/../../b": {"bytes": 1, "sha256": ""}}),
    "files are not those": rewritten(files={}),
    "not a schema 1": list_as_manifest,
    "unreadable": nested_without_end,
}
DAMAGE = [truncate, flip_a_bit, remove, break_manifest, empty_manifest, *MALFORMED.values()]


@pytest.mark.parametrize("told", MALFORMED)
def test_a_malformed_manifest_is_an_artifact_error_that_names_what_is_wrong(
    tmp_path: Path, told: str
) -> None:
    artifact = train(tmp_path, 1)
    MALFORMED[told](artifact)
    with pytest.raises(ArtifactError, match=told):
        open_artifact(artifact.path)


def test_a_renamed_or_copied_artifact_is_refused(tmp_path: Path) -> None:
    artifact = train(tmp_path, 1)
    copied = tmp_path / ("9" + artifact.version[1:])
    shutil.copytree(artifact.path, copied)
    with pytest.raises(ArtifactError, match="renamed or copied"):
        open_artifact(copied)
    found = ArtifactWatcher(tmp_path).poll()
    assert found is not None
    assert found.version == artifact.version


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
