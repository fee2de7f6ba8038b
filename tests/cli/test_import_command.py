"""``zhiliu import`` on a real store: taken, rejected, refused, stopped, repeated."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from command_answer import Zhiliu

from zhiliu.store import open_store

TIME_MS = 1_650_844_800_000
KUAIRAND = Path(__file__).parents[2] / "data" / "kuairand"


def event(i: int, **changes: Any) -> dict[str, Any]:
    return {"event_id": f"e{i}", "type": "view", "time": TIME_MS + i, "person_id": f"p{i % 7}",
            "video_id": f"v{i % 10}", "watch_ms": i, "props": {"click": i % 2}, **changes}  # fmt: skip


def lines(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(e) + "\n" for e in events))
    return path


def parquet(path: Path, count: int) -> Path:
    rows = [{**event(i), "props": json.dumps(event(i)["props"])} for i in range(count)]
    pl.DataFrame(rows).write_parquet(path)
    return path


def counts(workspace: Path) -> dict[str, int]:
    with open_store(f"sqlite:///{workspace}/zhiliu.db") as store:
        return store.counts()


def test_json_lines_of_the_api_come_out_of_the_export_as_they_went_in(tmp_path: Path, zhiliu: Zhiliu) -> None:
    anonymous = {"event_id": "s", "type": "search", "time": TIME_MS, "session_id": "x", "props": {"q": "知"}}
    log = lines(tmp_path / "log.jsonl", *(event(i) for i in range(20)), anonymous)
    result = zhiliu("import", "jsonl", log, "--json").json
    assert (result["accepted"], result["duplicates"], result["rejected"]) == (21, 0, 0)
    assert zhiliu("export", tmp_path / "out", "--json").json["rows"] == 21
    out = pl.read_parquet(tmp_path / "out" / "events.parquet").sort("time", "event_id")
    first, found = out.row(0, named=True), out.filter(pl.col("type") == "search").row(0, named=True)
    assert {k: first[k] for k in ("event_id", "type", "time", "person", "watch_ms")} == {
        "event_id": "e0", "type": "view", "time": TIME_MS, "person": "p0", "watch_ms": 0,
    }  # fmt: skip
    assert json.loads(first["props"]) == {"click": 0}
    assert (found["person"], found["video_row"], json.loads(found["props"])) == ("session:x", -1, {"q": "知"})
    zhiliu("export", tmp_path / "early", "--until", "2022-04-25T08:00:00.005+08:00")
    assert pl.read_parquet(tmp_path / "early" / "events.parquet").height == 6


def test_the_same_import_twice_changes_nothing(tmp_path: Path, zhiliu: Zhiliu, workspace: Path) -> None:
    log = parquet(tmp_path / "log.parquet", 100)
    zhiliu("import", "parquet", log, "--chunk-rows", 30)
    before = counts(workspace)
    again = zhiliu("import", "parquet", log, "--chunk-rows", 30, "--json").json
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, 100, 0)
    (workspace / "imports.json").unlink()  # without the record the ids still tell
    again = zhiliu("import", "parquet", log, "--json").json
    assert (again["accepted"], again["duplicates"]) == (0, 100)
    assert counts(workspace) == before


def test_rows_without_an_event_id_do_not_double(tmp_path: Path, zhiliu: Zhiliu, workspace: Path) -> None:
    rows = [{k: v for k, v in event(i).items() if k != "event_id"} for i in range(5)]
    zhiliu("import", "jsonl", lines(tmp_path / "a.jsonl", *rows))
    longer = zhiliu("import", "jsonl", lines(tmp_path / "b.jsonl", *rows, event(9)), "--json").json
    assert (longer["accepted"], longer["duplicates"]) == (1, 5)
    assert counts(workspace)["events"] == 6


def test_bad_rows_are_written_down_and_the_rest_is_taken(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    log = lines(tmp_path / "log.jsonl", event(0), event(1, time=TIME_MS // 1000), event(2), event(2),
                event(3, video_id="nobody"), event(4, watch_ms=-1))  # fmt: skip
    answer = zhiliu("import", "jsonl", log, "--json")
    assert answer.code == 0
    assert [answer.json[k] for k in ("accepted", "duplicates", "rejected")] == [2, 1, 3]
    written = [json.loads(line) for line in Path(answer.json["rejected_file"]).read_text().splitlines()]
    assert [(w["line"], w["field"]) for w in written] == [(2, "time"), (5, "video_id"), (6, "watch_ms")]
    assert "looks like seconds; send ms" in written[0]["reason"]
    assert "import the videos first" in written[1]["reason"]
    assert written[1]["row"]["event_id"] == "e3"
    assert counts(workspace)["events"] == 2


def test_rejected_rows_are_taken_by_a_second_run_once_their_video_is_there(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    log = lines(tmp_path / "log.jsonl", event(0), event(1, video_id="late"))
    assert zhiliu("import", "jsonl", log, "--json").json["rejected"] == 1
    zhiliu("import", "jsonl", lines(tmp_path / "v.jsonl", {"video_id": "late", "author_id": "a"}),
           "--kind", "videos")  # fmt: skip
    again = zhiliu("import", "jsonl", log, "--json").json
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (1, 1, 0)


def test_create_videos_adds_what_events_name(tmp_path: Path, zhiliu: Zhiliu, workspace: Path) -> None:
    log = lines(tmp_path / "log.jsonl", event(0, video_id="new"), event(1, video_id="new"), event(2))
    result = zhiliu("import", "jsonl", log, "--create-videos", "--json").json
    assert (result["accepted"], result["stubs"]) == (3, 1)
    with open_store(f"sqlite:///{workspace}/zhiliu.db") as store:
        stub = store.catalog.get("new")
    assert stub is not None
    assert stub.author_id == "unknown:new"


def test_when_every_row_is_bad_the_exit_code_says_so(tmp_path: Path, zhiliu: Zhiliu, workspace: Path) -> None:
    before = counts(workspace)
    answer = zhiliu("import", "jsonl", lines(tmp_path / "log.jsonl", event(0, type="?"), event(1, time=5)))
    assert answer.code == 1
    assert "every row was rejected" in answer.error
    assert counts(workspace) == before


def test_strict_writes_nothing_when_one_row_in_a_late_chunk_is_bad(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    before = counts(workspace)
    events = [event(i) for i in range(50)]
    log = lines(tmp_path / "log.jsonl", *events, event(99, video_id="nobody"))
    answer = zhiliu("import", "jsonl", log, "--strict", "--chunk-rows", 10)
    assert answer.code == 1
    assert "1 bad rows, nothing was written" in answer.error
    assert "row 51: video_id" in answer.error
    assert counts(workspace) == before
    log = lines(log, *events)
    assert zhiliu("import", "jsonl", log, "--strict", "--json").json["accepted"] == 50


def broken_files(folder: Path) -> dict[str, tuple[str, Path, str]]:
    whole = parquet(folder / "whole.parquet", 1000).read_bytes()
    made = {
        "empty": ("csv", b"", "the file is empty"),
        "half": ("parquet", whole[: len(whole) // 2], "half-written"),
        "latin": ("csv", b"type,time,person_id,video_id\nlike,1650844800000,\xe9,v1\n", "not UTF-8"),
        "columns": (
            "csv",
            b"type,time,person_id,video_id,x\nlike,1650844800000,p,v1,1\n",
            "unknown column 'x'",
        ),
        "missing": ("csv", b"type,person_id,video_id\nlike,p,v1\n", "no column for time"),
    }
    for name, (suffix, content, _) in made.items():
        (folder / f"{name}.{suffix}").write_bytes(content)
    return {name: (suffix, folder / f"{name}.{suffix}", said) for name, (suffix, _, said) in made.items()}


@pytest.mark.parametrize("name", ["empty", "half", "latin", "columns", "missing"])
def test_a_file_that_cannot_be_used_gets_one_line_and_writes_nothing(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path, name: str
) -> None:
    before = counts(workspace)
    suffix, path, said = broken_files(tmp_path)[name]
    good = lines(tmp_path / f"good.{suffix}") if suffix == "jsonl" else tmp_path / "good.csv"
    good.write_text("type,time,person_id,video_id\nlike,1650844800000,p,v1\n")
    files = [good, path] if suffix == "csv" else [path]  # a good file beside it is not taken either
    answer = zhiliu("import", suffix, *files)
    assert answer.code == 1
    assert said in answer.error
    assert str(path) in answer.error
    assert "Traceback" not in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert counts(workspace) == before


def test_mapping_by_flags_and_by_file(tmp_path: Path, zhiliu: Zhiliu) -> None:
    (tmp_path / "log.csv").write_text("who,clip,at,app\n1,v1,1650844800,ios\n2,v2,1650844801,web\n")
    (tmp_path / "map.toml").write_text(
        '[columns]\nperson_id = "who"\nvideo_id = "clip"\ntime = "at"\n[units]\ntime = "s"\n'
        '[constants]\ntype = "like"\n'
    )
    flags = ("--map", "person_id=who", "--map", "video_id=clip", "--map", "time=at", "--unit", "time=s",
             "--set", "type=like", "--ignore", "app")  # fmt: skip
    assert zhiliu("import", "csv", tmp_path / "log.csv", *flags, "--json").json["accepted"] == 2
    by_file = ("--map-file", tmp_path / "map.toml", "--ignore", "app")
    assert zhiliu("import", "csv", tmp_path / "log.csv", *by_file, "--json").json["duplicates"] == 2


def test_people_and_videos_import_and_replace(tmp_path: Path, zhiliu: Zhiliu, workspace: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("person_id,age_band,follow_count\nann,18-24,3\nbob,,\n")
    assert zhiliu("import", "csv", people, "--kind", "people", "--json").json["accepted"] == 2
    assert zhiliu("import", "csv", people, "--kind", "people", "--json").json["duplicates"] == 2
    people.write_text("person_id,age_band,follow_count\nann,25-34,4\n")
    zhiliu("import", "csv", people, "--kind", "people")
    with open_store(f"sqlite:///{workspace}/zhiliu.db") as store:
        ann, bob = store.people.get("ann"), store.people.get("bob")
    assert ann is not None
    assert (ann.age_band, ann.follow_count) == ("25-34", 4)
    assert bob is not None


def test_a_new_state_of_a_file_is_imported_though_its_old_one_is_done(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    log = parquet(tmp_path / "log.parquet", 10)
    zhiliu("import", "parquet", log)
    parquet(log, 12)
    result = zhiliu("import", "parquet", log, "--json").json
    assert (result["accepted"], result["duplicates"]) == (2, 10)


def test_a_record_that_claims_more_than_the_store_holds_is_not_believed(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    log = parquet(tmp_path / "log.parquet", 10)
    zhiliu("import", "parquet", log)
    for file in workspace.glob("zhiliu.db*"):
        file.unlink()
    result = zhiliu("import", "parquet", log, "--create-videos", "--json").json
    assert result["accepted"] == 10


def slice_of_kuairand(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(KUAIRAND / "videos.parquet", folder)
    people = pl.scan_parquet(KUAIRAND / "users.parquet").head(200)
    people.sink_parquet(folder / "users.parquet")
    ids = people.select("user_id")
    for name in ("impressions", "histories"):
        pl.scan_parquet(KUAIRAND / f"{name}.parquet").join(ids, on="user_id", how="semi").sink_parquet(
            folder / f"{name}.parquet"
        )
    return folder


def test_a_slice_of_kuairand_comes_in_whole_and_only_once(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    folder = slice_of_kuairand(tmp_path / "kr")
    shown = pl.read_parquet(folder / "impressions.parquet")
    result = zhiliu("import", "kuairand", folder, "--json").json
    assert result["rejected"] == 0
    by_file = {(Path(f["file"]).stem, f["kind"]): f for f in result["files"]}
    twins = shown.height - shown.unique().height
    assert by_file["impressions", "events"]["duplicates"] == twins
    status = zhiliu("status", "--json").json
    assert status["people"] == 200
    assert status["videos"] == 7583 + 10
    events = sum(f["accepted"] for f in result["files"] if f["kind"] == "events")
    assert status["events"] == events
    assert zhiliu("import", "kuairand", folder, "--json").json["accepted"] == 0
    assert zhiliu("status", "--json").json == status


def test_kuairand_without_its_videos_does_not_replace_what_the_catalogue_knows(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    folder = slice_of_kuairand(tmp_path / "kr")
    zhiliu("import", "kuairand", folder)
    (folder / "videos.parquet").unlink()
    answer = zhiliu("import", "kuairand", folder, "--json")
    assert answer.code == 0
    assert "no videos.parquet" in answer.json["notes"][0]
    with open_store(f"sqlite:///{workspace}/zhiliu.db") as store:
        video = store.catalog.get("0")
    assert video is not None
    assert video.author_id == "a:7349781"


def test_the_same_log_goes_into_postgresql_though_the_record_knows_it_from_sqlite(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path, postgres_url: str
) -> None:
    folder = slice_of_kuairand(tmp_path / "kr")
    zhiliu("import", "kuairand", folder)
    status = zhiliu("status", "--json").json
    (workspace / "zhiliu.toml").write_text(f"[store]\nurl = {json.dumps(postgres_url)}\n")
    assert zhiliu("import", "kuairand", folder, "--json").json["rejected"] == 0
    assert zhiliu("import", "kuairand", folder, "--json").json["accepted"] == 0
    assert zhiliu("status", "--json").json == {**status, "videos": 7583}
    assert zhiliu("doctor").code == 0


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from zhiliu.cli import main; main()", *map(str, arguments)]


@pytest.mark.parametrize("kill_after", [1, 4, 9])
def test_an_import_killed_half_way_ends_as_one_that_was_not(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path, kill_after: int
) -> None:
    log = parquet(tmp_path / "log.parquet", 12_000)
    arguments = ("import", "parquet", log, "--chunk-rows", 500, "--workspace", workspace)
    with subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        for _ in range(kill_after):  # one log line a chunk
            assert b"import" in process.stderr.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
    between = counts(workspace)["events"]
    assert kill_after * 500 <= between < 12_000
    assert between % 500 == 0, "a chunk is stored whole or not at all"
    result = zhiliu("import", "parquet", log, "--chunk-rows", 500, "--json").json
    assert (result["accepted"], result["duplicates"]) == (12_000 - between, between)
    assert counts(workspace)["events"] == 12_000


def limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))


def test_a_file_that_may_not_grow_stops_the_import_with_one_line_and_whole_chunks(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path
) -> None:
    log = parquet(tmp_path / "log.parquet", 60_000)
    arguments = ("import", "parquet", log, "--chunk-rows", 2000, "--workspace", workspace, "--json")
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, preexec_fn=limit_file_size, check=False
    )
    check_stopped(done, workspace, zhiliu, log)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A real file system of 6 MB; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() or not mount or subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False
    ).returncode:  # fmt: skip
        pytest.skip("may not mount a tmpfs here; the test of the file size limit covers the same path")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_the_import_with_one_line_and_whole_chunks(
    tmp_path: Path, zhiliu: Zhiliu, workspace: Path, small_disk: Path
) -> None:
    shutil.copytree(workspace, small_disk / "work")
    log = parquet(tmp_path / "log.parquet", 60_000)
    arguments = ("import", "parquet", log, "--chunk-rows", 2000, "--workspace", small_disk / "work", "--json")
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    assert "disk is full" in done.stderr.strip().splitlines()[-1]
    roomy = tmp_path / "roomy"
    shutil.copytree(small_disk / "work", roomy)
    check_stopped(done, roomy, zhiliu, log)


def check_stopped(done: Any, workspace: Path, zhiliu: Zhiliu, log: Path) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    held = counts(workspace)["events"]
    assert held % 2000 == 0, "a chunk is stored whole or not at all"
    assert held < 60_000
    arguments = ("import", "parquet", log, "--chunk-rows", 2000, "--workspace", workspace, "--json")
    again = subprocess.run(command(*arguments), capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["accepted"] == 60_000 - held
    assert counts(workspace)["events"] == 60_000
