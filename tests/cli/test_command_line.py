"""Every command: where its options may stand, what its exit codes say, what goes to stdout."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from command_answer import Zhiliu

from zhiliu import __version__
from zhiliu.artifact import new_artifact
from zhiliu.cli.app import COMMANDS, run, to_front
from zhiliu.cli.errors import DISK_FULL, in_one_line
from zhiliu.settings import SettingsError


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workspace", "{w}", "--json", "status"),
        ("status", "--workspace", "{w}", "--json"),
        ("--json", "status", "--workspace={w}"),
    ],
)
def test_workspace_and_json_may_stand_on_either_side_of_the_command(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run([a.format(w=workspace) for a in arguments]) == 0
    out = capsys.readouterr().out
    assert out == '{"events": 0, "people": 0, "videos": 10, "decisions": 0, "model": null}\n'


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert to_front(["a", "--json", "--", "--json"]) == ["--json", "a", "--", "--json"]
    assert to_front(["a", "--workspace"]) == ["--workspace", "a"]


@pytest.mark.parametrize(
    "arguments",
    [["nosuch"], ["status", "--nosuch"], ["import"], ["import", "xls", "a"], ["status", "--workspace"], [],
     ["import", "kuairand", "a", "b"], ["import", "csv", "a", "--map", "time"],
     ["import", "csv", "a", "--unit", "time"], ["import", "csv", "a", "--set", "=x"],
     ["export", "x", "--until", "soon"]],
)  # fmt: skip
def test_wrong_use_is_exit_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" or not arguments
    assert "--help" in captured.err + captured.out


def test_a_workspace_that_is_not_there_is_one_line_that_says_how_to_make_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--workspace", str(tmp_path / "nothing")]) == 1
    err = capsys.readouterr().err
    assert err == (
        f"zhiliu: no workspace at {tmp_path}/nothing; make one with: zhiliu init {tmp_path}/nothing\n"
    )
    assert not (tmp_path / "nothing").exists()


def test_a_wrong_setting_is_named(workspace: Path, zhiliu: Zhiliu) -> None:
    (workspace / "zhiliu.toml").write_text("[feed]\ndiversty = 1\n")
    answer = zhiliu("status")
    assert answer.code == 1
    assert "feed.diversty" in answer.error


def test_debug_shows_the_traceback(zhiliu: Zhiliu, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no such file"):
        zhiliu("import", "csv", tmp_path / "nothing.csv", "--debug")


def test_version_prints_the_version_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_a_store_that_cannot_be_read_is_one_line_with_its_file_and_what_to_do(
    workspace: Path, zhiliu: Zhiliu
) -> None:
    for part in workspace.glob("zhiliu.db*"):
        part.write_bytes(b"no database" * 1000)
    answer = zhiliu("status")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert f"{workspace / 'zhiliu.db'}: file is not a database" in answer.error
    assert "store.url" in answer.error
    assert "sqlalche" not in answer.err


def test_help_lists_every_command_without_loading_any() -> None:
    code = "import sys; from zhiliu.cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, what in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert what in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & {"polars", "numpy", "sqlalchemy", "torch", "litestar", "zhiliu.store"}


def test_init_makes_a_workspace_and_keeps_one_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    assert run(["init", str(folder)]) == 0
    assert run(["status", "--workspace", str(folder)]) == 0
    (folder / "zhiliu.toml").write_text("seed = 5\n")
    assert run(["init", str(folder), "--json"]) == 0
    assert (folder / "zhiliu.toml").read_text() == "seed = 5\n"
    assert '"made": false' in capsys.readouterr().out
    assert run(["init", str(folder), "--workspace", str(tmp_path)]) == 2


def artifact(workspace: Path, created_ms: int) -> Path:
    with new_artifact(workspace / "artifacts", created_ms=created_ms) as writer:
        writer.json("facts", {"a": 1})
    assert writer.artifact is not None
    return writer.artifact.path


def test_status_names_the_newest_complete_artifact(workspace: Path, zhiliu: Zhiliu) -> None:
    artifact(workspace, 1_650_000_000_000)
    newest = artifact(workspace, 1_650_000_100_000)
    (workspace / "artifacts" / "20990101T000000000Z-00000000").mkdir()  # no manifest: not complete
    assert zhiliu("status", "--json").json["model"] == newest.name


def test_doctor_is_content_with_a_good_workspace(workspace: Path, zhiliu: Zhiliu) -> None:
    artifact(workspace, 1_650_000_000_000)
    answer = zhiliu("doctor", "--json")
    assert answer.code == 0
    assert answer.json["ok"]
    names = {check["name"].split()[0] for check in answer.json["checks"]}
    assert names == {"python", "sqlite", "settings", "disk", "fsync", "wal", "store", "artifact"}


def test_doctor_finds_a_damaged_artifact_a_wrong_setting_and_a_broken_store(
    workspace: Path, zhiliu: Zhiliu
) -> None:
    def broken() -> set[str]:
        answer = zhiliu("doctor", "--json")
        assert answer.code == 1
        return {check["name"].split()[0] for check in answer.json["checks"] if not check["ok"]}

    file = artifact(workspace, 1_650_000_000_000) / "facts.json"
    file.write_text("{}")
    assert broken() == {"artifact"}
    for part in workspace.glob("zhiliu.db*"):
        part.write_bytes(b"no database" * 1000)
    assert broken() == {"artifact", "store"}
    (workspace / "zhiliu.toml").write_text("colour = 1\n")
    assert broken() == {"settings"}


def test_export_into_a_folder_that_has_files_is_refused(tmp_path: Path, zhiliu: Zhiliu) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").touch()
    assert zhiliu("export", tmp_path / "out").code == 2


def test_any_error_becomes_one_line_that_says_what_to_do() -> None:
    full = RuntimeError("commit failed")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert in_one_line(full) == DISK_FULL
    missing = ModuleNotFoundError("No module named 'torch'", name="torch")
    assert in_one_line(missing) == "No module named 'torch'; pip install 'zhiliu[train]'"
    assert in_one_line(SettingsError("seed: not\na number")) == "seed: not a number"
    assert in_one_line(PermissionError(errno.EACCES, "Permission denied", "/a")) == "/a: Permission denied"
    assert "--debug" in in_one_line(KeyError("x"))
