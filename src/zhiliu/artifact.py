"""A trained, versioned, checksummed folder: the only thing training hands to serving.

``manifest.json`` is written last and the folder is renamed into place: without one it is not complete.
Weights are ``.onnx`` and ``.npy``, facts are JSON: nothing in here can execute code (no pickle).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = 1
MANIFEST = "manifest.json"


class ArtifactError(Exception):
    """The folder is not what its manifest says; the message names the file."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """An opened, verified artifact. Arrays are memory mapped."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def version(self) -> str:
        """Sorts by age: UTC time, then a digest of the content."""
        return str(self.manifest["version"])

    def file(self, name: str) -> Path:
        """Path of a file the manifest lists; KeyError otherwise."""
        if name not in self.manifest["files"]:
            raise KeyError(f"artifact {self.version} has no file {name!r}")
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether the manifest lists this file."""
        return name in self.manifest["files"]

    def array(self, name: str) -> NDArray[Any]:
        """Memory-mapped array ``name`` (without ``.npy``)."""
        mapped: NDArray[Any] = np.load(self.file(f"{name}.npy"), mmap_mode="r", allow_pickle=False)
        return mapped

    def json(self, name: str) -> Any:
        """Parsed ``name`` (without ``.json``)."""
        return json.loads(self.file(f"{name}.json").read_text("utf-8"))


def open_artifact(path: Path) -> Artifact:
    """Verify every checksum and open.

    Raises:
        ArtifactError: no manifest, a foreign schema or shape, another folder's name, a missing, truncated or
            altered file.

    """
    try:
        manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no {MANIFEST}; training did not finish") from None
    except (ValueError, OSError, RecursionError) as error:
        raise ArtifactError(f"{path / MANIFEST}: unreadable ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise ArtifactError(f"{path / MANIFEST}: not a schema {SCHEMA} manifest; train again")
    if wrong := fault(manifest, path.name):
        raise ArtifactError(f"{path / MANIFEST}: {wrong}")
    for name, expected in manifest["files"].items():
        file = path / name
        try:
            if not file.is_file():
                raise ArtifactError(f"{file}: missing")
            if file.stat().st_size != expected["bytes"] or sha256(file) != expected["sha256"]:
                raise ArtifactError(f"{file}: checksum differs from the manifest; the file is damaged")
        except OSError as error:
            raise ArtifactError(f"{file}: unreadable ({error})") from None
    return Artifact(path, manifest)


def fault(manifest: Mapping[str, Any], folder: str) -> str:
    """What is wrong with the shape of a schema 1 manifest in ``folder``; empty when nothing is."""
    version, created_ms, files = (manifest.get(name) for name in ("version", "created_ms", "files"))
    if not isinstance(version, str):
        return f"version must be a text (seen: {version!r:.80})"
    if type(created_ms) is not int:
        return f"created_ms must be a whole number, ms UTC (seen: {created_ms!r:.80})"
    if not isinstance(files, dict):
        return f"files must be an object, name to bytes and sha256 (seen: {files!r:.80})"
    for name, facts in files.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or "\0" in name or not inside.parts:
            return f"files: {name!r:.80} is not a name inside the folder"
        if not isinstance(facts, dict) or type(facts.get("bytes")) is not int:
            return f"files: {name!r:.80} must have bytes, a whole number"
        if not isinstance(facts.get("sha256"), str):
            return f"files: {name!r:.80} must have sha256, a text"
    if version != folder:
        return f"version is {version!r:.80}, the folder is {folder!r:.80}: it was renamed or copied; name it back"
    if version.rpartition("-")[2] != digest_of(files):
        return f"files are not those that version {version!r:.80} was made of; train again"
    return ""


def digest_of(files: Mapping[str, Any]) -> str:
    """The end of a version: of the names, sizes and checksums of its files."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:8]


def versions(root: Path) -> list[Path]:
    """Complete artifact folders under ``root``, newest first."""
    if not root.is_dir():
        return []
    return sorted(
        (p for p in root.iterdir() if p.name[0] != "." and (p / MANIFEST).is_file()),
        key=lambda p: p.name,
        reverse=True,
    )


@contextmanager
def new_artifact(root: Path, *, created_ms: int) -> Iterator[ArtifactWriter]:
    """Write into a hidden folder; commit by rename when the block ends, remove it when the block raises."""
    staging = root / f".staging-{created_ms}-{os.getpid()}"
    staging.mkdir(parents=True)
    writer = ArtifactWriter(staging, created_ms)
    try:
        yield writer
        writer.commit(root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class ArtifactWriter:
    """Collects files; see :func:`new_artifact`."""

    def __init__(self, staging: Path, created_ms: int) -> None:
        self.path = staging
        self.created_ms = created_ms
        self.facts: dict[str, Any] = {}
        """Goes into the manifest: recipe, metrics, data span, seeds, library versions."""
        self.artifact: Artifact | None = None
        """Set once the block has ended well."""

    def array(self, name: str, values: NDArray[Any]) -> None:
        """Save ``name.npy``; object arrays are refused."""
        np.save(self.path / f"{name}.npy", values, allow_pickle=False)

    def json(self, name: str, value: Any) -> None:
        """Save ``name.json``."""
        (self.path / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")

    def commit(self, root: Path) -> None:
        """Checksum, flush to disk, name by time and content, rename into place."""
        files = {
            str(file.relative_to(self.path)): {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
        }
        stamp = np.datetime_as_string(np.datetime64(self.created_ms, "ms"), unit="ms")
        version = stamp.replace("-", "").replace(":", "").replace(".", "") + "Z-" + digest_of(files)
        manifest = {
            "schema": SCHEMA,
            "version": version,
            "created_ms": self.created_ms,
            **self.facts,
            "files": files,
        }
        (self.path / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1), "utf-8")
        for file in self.path.rglob("*"):
            flush(file)
        flush(self.path)
        target = root / version
        self.path.rename(target)
        flush(root)
        self.artifact = Artifact(target, manifest)


def onnx_session(file: Path) -> Any:
    """An inference session on one thread: a server scales by processes, and two are slower on small graphs."""
    import onnxruntime  # here: most commands open artifacts without running them

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def sha256(file: Path) -> str:
    """Hex digest of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Fsync a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
