"""Finds the newest complete artifact and verifies it before it may serve."""

from __future__ import annotations

from pathlib import Path

import structlog

from zhiliu.artifact import Artifact, ArtifactError, open_artifact, versions

log = structlog.get_logger()


class ArtifactWatcher:
    """Polled by the server. What was refused once is not read again until its files change."""

    def __init__(self, root: Path, current: Artifact | None = None) -> None:
        self.root = root
        self.current = current
        self.refused: dict[str, str] = {}
        """Version → why it does not serve."""
        self._looked_at: dict[str, int] = {}  # version -> mtime of the manifest it was refused with

    def poll(self) -> Artifact | None:
        """A newer artifact that is whole, or None. It is not ``current`` before :meth:`accept`.

        The newest that is whole and newer than the one that serves: damage never makes the server go back.
        When none serves, any that is whole is better.
        """
        for path in versions(self.root):
            if self.current is not None and path.name <= self.current.version:
                return None
            if self._refused_before(path):
                continue
            try:
                return open_artifact(path)
            except ArtifactError as error:
                self.refuse(path.name, str(error))
            except Exception as error:  # whatever one folder holds, the others can still serve
                self.refuse(path.name, f"{type(error).__name__}: {error}")
        return None

    def accept(self, artifact: Artifact) -> None:
        """It serves from now on."""
        self.current = artifact

    def refuse(self, version: str, reason: str) -> None:
        """It does not serve: damaged, or the pipeline could not be built from it."""
        self.refused[version] = reason
        self._looked_at[version] = modified_ns(self.root / version)
        log.error("artifact refused", version=version, reason=reason)

    def _refused_before(self, path: Path) -> bool:
        return path.name in self.refused and self._looked_at.get(path.name) == modified_ns(path)


def modified_ns(path: Path) -> int:
    """When anything in the folder last changed; 0 when it is gone."""
    try:
        return max((file.stat().st_mtime_ns for file in [path, *path.rglob("*")]), default=0)
    except OSError:
        return 0
