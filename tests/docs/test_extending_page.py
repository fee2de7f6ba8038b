"""docs/extending.md: its lines install the examples, its settings use them, its test passes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhiliu import protocols, registry
from zhiliu.settings import FeedSettings
from zhiliu.store import open_store
from zhiliu.testing import component_contracts
from zhiliu.testing.component_contracts import history, query
from zhiliu.testing.small_world import small_world
from zhiliu.train.bundle import RECIPES, Order, check, recipes
from zhiliu.train.errors import TrainError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
LINES, SETTINGS = (
    tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
)
GROUPS = LINES["project"]["entry-points"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples as a package that pip has installed: modules, and the metadata with the page's lines."""
    info = tmp_path / "examples-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: examples\nVersion: 1.0\n", "utf-8")
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in points.items())
        for group, points in GROUPS.items()
    )
    (info / "entry_points.txt").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.syspath_prepend(tmp_path)
    registry.known.cache_clear()
    yield
    registry.known.cache_clear()


@pytest.mark.usefixtures("installed")
def test_the_settings_of_the_page_make_a_feed_of_the_examples() -> None:
    feed = FeedSettings(**SETTINGS["feed"])
    slate = registry.build_pipeline(small_world(feed=feed))(query(history=history([0, 1])), 10)
    assert len(slate.items) == 10
    assert slate.source_names == ("unfamiliar", "trending")
    assert {"age_days", "times_shown", "head:long_view"} <= set(slate.items.columns)
    assert {reason.code for reasons in slate.reasons for reason in reasons} == {"found_by"}
    assert slate.failed == ()


@pytest.mark.usefixtures("installed")
def test_every_line_of_the_page_names_a_class_that_calls_itself_so() -> None:
    for group, points in GROUPS.items():
        for name in points:
            assert registry.load(group, name).name == name


@pytest.mark.usefixtures("installed")
def test_a_recipe_of_a_package_can_be_trained_by_name_beside_ours() -> None:
    assert list(recipes())[: len(RECIPES)] == list(RECIPES)
    check(Order(retrieval=("popularity", "authors"), until_ms=1))
    with pytest.raises(TrainError, match=r"unknown retrieval model 'author'; known: popularity, .*authors"):
        check(Order(retrieval=("author",), until_ms=1))


def test_a_recipe_that_no_package_has_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(TrainError, match="unknown retrieval model 'authors'; known: popularity"):
        check(Order(retrieval=("authors",), until_ms=1))


def test_every_recipe_of_ours_is_where_its_line_says() -> None:
    for name in RECIPES:
        assert recipes()[name].load().name == name


def test_the_test_of_the_page_passes(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "test_mine.py").write_text(code, "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            f"pythonpath={ROOT / 'examples'}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^8 passed", done.stdout, re.MULTILINE), done.stdout


def test_the_line_of_the_page_makes_a_type_of_event_that_is_taken_and_stored(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    types = tmp_path / "src" / "zhiliu" / "types.py"
    (line,) = re.findall(r"`(BOOKMARK = .*?)`", PAGE)
    last = '    SEARCH = "search"\n'
    types.write_text(types.read_text("utf-8").replace(last, f"{last}    {line}\n"), "utf-8")
    event = {
        "event_id": "b1",
        "type": "bookmark",
        "time": 1_650_844_900_000,
        "person_id": "p",
        "video_id": "v",
    }
    unknown = event | {"event_id": "b2", "type": "bookmarks"}
    file = tmp_path / "events.jsonl"
    file.write_text(f"{json.dumps(event)}\n{json.dumps(unknown)}\n", "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "zhiliu",
            "--workspace",
            "w",
            "--json",
            "import",
            "jsonl",
            file,
            "--create-videos",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["accepted"], result["rejected"]) == (1, 1)
    with open_store(f"sqlite:///{tmp_path / 'w' / 'zhiliu.db'}") as store:
        assert store.counts()["events"] == 1


def test_every_example_contract_and_method_is_on_the_page() -> None:
    for file in (ROOT / "examples").glob("*.py"):
        assert f"`{file.name}`" in PAGE
    for name in vars(component_contracts):
        if name.endswith("Contract") and name != "StageContract":
            assert name in PAGE
    for group in registry.GROUPS:
        assert group in PAGE
    stages = ("Source", "Hydrator", "Filter", "Ranker", "Objective", "Reranker", "Explainer", "Recipe")
    for stage in stages:
        methods = [name for name in vars(getattr(protocols, stage)) if not name.startswith("_")]
        assert any(f"`{method}(" in PAGE for method in methods), stage
