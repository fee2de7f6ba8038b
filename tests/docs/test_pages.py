"""The documentation is true: its code runs, its links lead somewhere, no command, setting or route is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import typer.main
from pydantic import BaseModel
from tests.docs.pages import PAGES, ROOT, RUNNERS, blocks, read, run

from zhiliu.cli.app import COMMANDS, app
from zhiliu.serve.app import create_app
from zhiliu.settings import Settings, load
from zhiliu.types import EventType

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
RUN = [page for page in PAGES if page not in RUNNERS and any(not block.reason for block in blocks(page))]


@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run(page: str, folder: Path) -> None:
    done = run(page, folder)
    assert done.returncode == 0, f"{page}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("page", sorted(set(RUNNERS).intersection(PAGES)))
def test_a_page_that_is_left_to_a_test_of_its_own_has_one(page: str) -> None:
    assert (Path(__file__).parent / RUNNERS[page]).is_file()


@pytest.mark.parametrize("page", PAGES)
def test_every_code_block_says_its_language_or_is_plain_text(page: str) -> None:
    fences = re.findall(r"^```(\S*)$", read(page), re.MULTILINE)
    assert set(fences) <= {"sh", "python", "json", "toml", "text", ""}
    assert len(fences) % 2 == 0
    found = len(blocks(page))
    assert found == len(re.findall(r"^```(?:sh|python)$", read(page), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_one(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", read(page)):
        assert ((ROOT / page).parent / target).exists(), target


def options() -> Iterator[tuple[str, str]]:
    """(command, option) of everything the command line knows."""
    root = typer.main.get_command(app)
    context = root.make_context("zhiliu", ["status"], resilient_parsing=True)
    for parameter in root.params:
        yield from (("", option) for option in parameter.opts if option.startswith("--"))
    for name in COMMANDS:
        command = root.get_command(context, name)  # type: ignore[attr-defined]
        for one in [command, *getattr(command, "commands", {}).values()]:
            for parameter in one.params:
                yield from ((name, option) for option in parameter.opts if option.startswith("--"))


def test_every_command_and_option_is_in_the_command_line_page() -> None:
    page = read("docs/cli.md") + read("docs/importing.md")
    for command in COMMANDS:
        assert f"`zhiliu {command}" in page, command
    said = set(FLAG.findall(page))
    missing = [
        f"{command} {option}" for command, option in options() if option not in said and option != "--help"
    ]
    assert missing == []


def test_the_command_line_page_names_no_option_that_is_not_there() -> None:
    known = {option for _, option in options()} | {"--help"}
    assert set(FLAG.findall(read("docs/cli.md"))) <= known


def settings(model: type[BaseModel], values: BaseModel, place: str = "") -> Iterator[tuple[str, object]]:
    """(dotted name, default) of every setting."""
    for name in model.model_fields:
        value = getattr(values, name)
        if isinstance(value, BaseModel):
            yield from settings(type(value), value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value


def test_every_setting_is_on_the_settings_page_with_its_default_and_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known = dict(settings(Settings, load()))
    rows = re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \| `(\w+)` \|", read("docs/settings.md"), re.MULTILINE)
    assert [name for name, _, _ in rows] == list(known)
    for name, default, variable in rows:
        value = known[name]
        shown = str(value) if isinstance(value, Path) else value
        assert default == json.dumps(shown), name
        assert variable == "ZHILIU_" + name.upper().replace(".", "__"), name


def collapsed(path: str) -> str:
    """An address with its parameters made the same."""
    return re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/api/v1"))


def test_every_route_is_on_the_http_page(tmp_path: Path) -> None:
    created = create_app(Settings(workspace=tmp_path))
    paths = {collapsed(path) for path in created.openapi_schema.paths or {}}
    created.state.engine.store.close()
    said = {collapsed(path) for path in re.findall(r"(/[\w/{}-]+)", read("docs/http.md"))}
    assert paths - said == set()


def test_every_event_type_is_on_the_site_teams_page() -> None:
    said = re.findall(r"`([a-z_]+)`", read("docs/howto/site-team.md"))
    assert {kind.value for kind in EventType} <= set(said)


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda p: p.name)
def test_every_decision_says_context_decision_alternatives_and_what_enforces_it(record: Path) -> None:
    headings = re.findall(r"^## (.+)$", record.read_text("utf-8"), re.MULTILINE)
    assert headings == ["Context", "Decision", "Alternatives", "Enforced by"]


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda p: p.name)
def test_what_enforces_a_decision_exists(record: Path) -> None:
    enforced = record.read_text("utf-8").partition("## Enforced by")[2]
    named = re.findall(r"`((?:tests|src|benchmarks)/[\w./]+|pyproject\.toml)`", enforced)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
