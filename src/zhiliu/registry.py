"""Settings → objects. Every component, ours or a plug-in's, is an entry point: one line in somebody's pyproject.

::

    [project.entry-points."zhiliu.sources"]
    my_source = "my_package.my_module:MySource"

A component has ``from_world(world) -> Self``; one that reads files of an artifact names them in ``needs``. It is
used when ``zhiliu.toml`` names it (``[feed.sources] my_source = 50``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from math import ceil
from typing import Any, Final

import structlog

from zhiliu.live.world import World
from zhiliu.pipeline import Pipeline
from zhiliu.protocols import Source
from zhiliu.settings import FeedSettings, SettingsError

log = structlog.get_logger()

GROUPS: Final = (
    "zhiliu.sources",
    "zhiliu.hydrators",
    "zhiliu.filters",
    "zhiliu.rankers",
    "zhiliu.objectives",
    "zhiliu.rerankers",
    "zhiliu.explainers",
    "zhiliu.recipes",
)
RANKER_FILE: Final = "ranker.onnx"


class RegistryError(Exception):
    """A component is not there, or is broken; the message names it and what is there."""


@lru_cache(maxsize=len(GROUPS))
def known(group: str) -> dict[str, EntryPoint]:
    """Installed components of a group by name. Read once a process: reading takes tens of milliseconds."""
    if group not in GROUPS:
        raise RegistryError(f"no component group {group!r}; there are: {', '.join(GROUPS)}")
    return {point.name: point for point in entry_points(group=group)}


def load(group: str, name: str) -> Any:
    """The class behind a name.

    Raises:
        RegistryError: nothing of that name is installed, or it cannot be imported.

    """
    points = known(group)
    if name not in points:
        there = ", ".join(sorted(points)) or "none"
        raise RegistryError(
            f"no {group.removeprefix('zhiliu.').rstrip('s')} {name!r} is installed; there are: {there}"
        )
    try:
        return points[name].load()
    except Exception as error:  # a plug-in may do anything while it is imported
        raise RegistryError(
            f"{group} {name!r} ({points[name].value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error


def make(group: str, name: str, world: World) -> Any:
    """A component of this world.

    Raises:
        RegistryError: as :func:`load`, or its ``from_world`` failed.

    """
    component = load(group, name)
    try:
        return component.from_world(world)
    except SettingsError:
        raise  # its message is for whoever wrote the settings
    except Exception as error:
        raise RegistryError(
            f"{group} {name!r} ({component.__module__}.{component.__qualname__}) cannot be made: "
            f"{type(error).__name__}: {error}"
        ) from error


def is_fed(component: Any, world: World) -> bool:
    """Whether the artifact has every file that the component ``needs``."""
    needs: Sequence[str] = getattr(component, "needs", ())
    return all(world.artifact is not None and world.artifact.has(name) for name in needs)


def build_pipeline(world: World) -> Pipeline:
    """The pipeline that the settings describe, of what this world has.

    A source without its artifact files is left out: with no artifact that leaves popularity, trending,
    following and social, ranked by popularity.

    Raises:
        RegistryError: a component that the settings name is not there or broken.

    """
    feed = world.settings.feed
    objective = make("zhiliu.objectives", feed.objective, world)
    weights = getattr(objective, "weights", None)
    return Pipeline(
        sources=make_sources(world),
        hydrators=[make("zhiliu.hydrators", name, world) for name in feed.hydrators],
        filters=[make("zhiliu.filters", name, world) for name in feed.filters],
        ranker=make("zhiliu.rankers", ranker_name(world), world),
        objective=objective,
        reranker=make("zhiliu.rerankers", feed.reranker, world),
        explainer=make("zhiliu.explainers", feed.explainer, world),
        rank_limit=feed.rank_limit,
        model=world.artifact.version if world.artifact is not None else "",
        policy=policy_name(feed),
        weights=dict(weights) if isinstance(weights, Mapping) else {},
    )


def policy_name(feed: FeedSettings) -> str:
    """``greedy:<hash>`` over every setting that shapes a slate; sources in their order, as they take turns."""
    shaping = feed.model_dump(mode="json", exclude={"explainer"})
    shaping["sources"] = list(feed.sources.items())
    text = json.dumps(shaping, sort_keys=True)
    return f"greedy:{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def make_sources(world: World) -> list[tuple[Source, int]]:
    """Each source of the settings that has what it needs, with how many candidates it is asked for.

    Those that are there take over the quotas of those that are left out: without a model there is as much to rank.
    """
    asked = world.settings.feed.sources
    there = {name: k for name, k in asked.items() if is_fed(load("zhiliu.sources", name), world)}
    for name in asked.keys() - there.keys():
        log.debug("source left out: the artifact has not what it needs", source=name)
    share = sum(asked.values()) / max(1, sum(there.values()))
    return [(make("zhiliu.sources", name, world), ceil(k * share)) for name, k in there.items()]


def ranker_name(world: World) -> str:
    """``feed.ranker``; ``auto`` is the trained one when there is one."""
    if world.settings.feed.ranker != "auto":
        return world.settings.feed.ranker
    trained = world.artifact is not None and world.artifact.has(RANKER_FILE)
    return "onnx" if trained else "popularity"
