"""One bad row is one rejected row with its line, field and reason; the others are taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from whole_file import NOW_MS, Load

from zhiliu.events.check import check_batch

GOOD: dict[str, Any] = {
    "event_id": "e1", "type": "view", "time": 1_650_000_000_000, "person_id": "p", "video_id": "v", "watch_ms": 5,
}  # fmt: skip
BAD = [
    ({"time": 1_650_000_000}, "time", "looks like seconds; send ms"),
    ({"time": 1_800_000_000_000}, "time", "in the future"),
    ({"time": -5}, "time", "a time is ms since 1970"),
    ({"time": 200_000_000_000}, "time", "before 2000"),
    ({"time": None}, "time", "is missing"),
    ({"type": "watched"}, "type", "is watched; types are impression"),
    ({"type": None}, "type", "is missing"),
    ({"person_id": None}, "person_id", "send person_id or session_id"),
    ({"person_id": "session:x"}, "person_id", "send that as session_id"),
    ({"video_id": None}, "video_id", "a view needs a video_id"),
    ({"video_id": "v" * 257}, "video_id", "has 257 characters"),
    ({"event_id": "a\0b"}, "event_id", "NUL"),
    ({"watch_ms": -1}, "watch_ms", "is -1; must be whole milliseconds, 0 or more"),
    ({"watch_ms": 90_000_000}, "watch_ms", "more than a day"),
    ({"position_ms": -1}, "position_ms", "is -1"),
    ({"props": "[1]"}, "props", "must be a JSON object"),
    ({"props": json.dumps({"a": "x" * 9000})}, "props", "at most 8192 bytes"),
]
IDS = [f"{field}: {reason}" for _, field, reason in BAD]


@pytest.mark.parametrize(("change", "field", "reason"), BAD, ids=IDS)
@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_bad_row_is_named_and_its_neighbours_are_taken(
    tmp_path: Path, load: Load, suffix: str, change: dict[str, Any], field: str, reason: str
) -> None:
    rows = [{**GOOD}, {**GOOD, **change}, {**GOOD, "event_id": "e3"}]
    path = tmp_path / f"log.{suffix}"
    write(path, rows)
    done = load(path)
    assert done.frame["event_id"].to_list() == ["e1", "e3"]
    assert [(row.line, row.field) for row in done.rejected] == [(2, field)]
    assert reason in done.rejected[0].reason


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    columns = {name for row in rows for name in row}
    full = [{name: row.get(name) for name in columns} for row in rows]
    if path.suffix == ".jsonl":
        for row in full:  # in JSON, props are an object, not text
            row["props"] = json.loads(row["props"]) if row.get("props") else None
        path.write_text("".join(json.dumps(row) + "\n" for row in full))
        return
    frame = pl.DataFrame(full, infer_schema_length=None)
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)


@pytest.mark.parametrize("change", [change for change, _, _ in BAD] + [
    {}, {"session_id": "s"}, {"surface": "discover"}, {"props": '{"a":{"b":[1]}}'}, {"watch_ms": 86_400_000},
    {"watch_ms": 86_400_001}, {"time": 946_684_800_000}, {"time": 946_684_799_999}, {"time": NOW_MS + 300_000},
    {"time": NOW_MS + 300_001}, {"type": "search", "video_id": None}, {"type": "follow", "video_id": None},
    {"type": "share_open", "video_id": None}, {"person_id": "p" * 256}, {"person_id": "p" * 257},
    {"request_id": "r" * 257}, {"surface": "s" * 257}, {"watch_ms": True}, {"time": 1.5}, {"video_id": "gone"},
])  # fmt: skip
def test_the_rules_are_those_of_the_api(tmp_path: Path, load: Load, change: dict[str, Any]) -> None:
    """``check_batch`` is the slow twin: one event at a time."""
    row = {**GOOD, **change}
    write(tmp_path / "log.jsonl", [row])
    row["props"] = json.loads(row["props"]) if row.get("props") else {}
    one = json.dumps([{k: v for k, v in row.items() if v is not None}]).encode()
    taken, refused = check_batch(one, now_ms=NOW_MS, known_video=lambda _: True, limit=1)
    done = load(tmp_path / "log.jsonl")
    assert done.frame["event_id"].to_list() == [e.event_id for e in taken]
    assert [r.field for r in done.rejected] == [r.field for r in refused]


def test_nan_in_a_float_column_is_rejected_and_whole_floats_are_taken(tmp_path: Path, load: Load) -> None:
    frame = pl.DataFrame([GOOD] * 4).with_columns(
        event_id=pl.Series(["a", "b", "c", "d"]), watch_ms=pl.Series([10.0, float("nan"), 2.5, None])
    )
    frame.write_parquet(tmp_path / "log.parquet")
    done = load(tmp_path / "log.parquet")
    assert done.frame["watch_ms"].to_list() == [10, None]
    assert [(row.line, row.field) for row in done.rejected] == [(2, "watch_ms"), (3, "watch_ms")]
    assert "is NaN" in done.rejected[0].reason


def test_nan_as_an_id_or_time_is_rejected(tmp_path: Path, load: Load) -> None:
    frame = pl.DataFrame([GOOD] * 3).with_columns(
        person_id=pl.Series([1.0, float("nan"), 3.0]), time=pl.Series([1.65e12, 1.65e12, float("nan")])
    )
    frame.write_parquet(tmp_path / "log.parquet")
    done = load(tmp_path / "log.parquet")
    assert done.frame["person_id"].to_list() == ["1"]
    assert [row.field for row in done.rejected] == ["person_id", "time"]


def test_text_in_a_number_column_of_a_csv_is_one_bad_row(tmp_path: Path, load: Load) -> None:
    (tmp_path / "log.csv").write_text("type,time,person_id,video_id\nlike,1650000000000,p,v\nlike,soon,p,v\n")
    done = load(tmp_path / "log.csv")
    assert done.frame.height == 1
    assert done.rejected[0].reason == "is soon; must be whole milliseconds UTC"
    assert done.rejected[0].row == {"type": "like", "time": "soon", "person_id": "p", "video_id": "v"}


def test_a_csv_row_with_a_cell_too_many_or_too_few_is_one_bad_row(tmp_path: Path, load: Load) -> None:
    (tmp_path / "log.csv").write_text(
        "type,time,person_id,video_id\nlike,1650000000000,p,v,x\nlike,1650000000000,p\nlike,1650000000000,p,v\n"
    )
    done = load(tmp_path / "log.csv")
    assert done.frame["#row"].to_list() == [3]
    assert [row.line for row in done.rejected] == [1, 2]
    assert done.rejected[0].reason == "has 5 cells, the header has 4"


def test_an_invalid_json_line_is_one_bad_row_and_the_numbers_stay_right(tmp_path: Path, load: Load) -> None:
    good = json.dumps(GOOD)
    lines = [
        good,
        "{oops",
        "",
        "[1]",
        '{"type":"view","time":NaN}',
        f"{good},{good}",
        good.replace("e1", "e7"),
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    done = load(tmp_path / "log.jsonl")
    assert done.frame["#row"].to_list() == [1, 7]
    assert [row.line for row in done.rejected] == [2, 4, 5, 6]
    assert "not a JSON object" in done.rejected[0].reason


def test_an_unknown_field_and_a_wrong_type_in_a_json_line_are_named(tmp_path: Path, load: Load) -> None:
    lines = [{**GOOD, "colour": "red"}, {**GOOD, "time": "1650000000000"}, {**GOOD, "watch_ms": 1.5}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = load(tmp_path / "log.jsonl")
    assert [row.field for row in done.rejected] == ["colour", "time", "watch_ms"]


def test_a_line_that_is_not_utf8_is_one_bad_row(tmp_path: Path, load: Load) -> None:
    bad = json.dumps({**GOOD, "surface": "@"}).encode().replace(b"@", b"\xff")
    (tmp_path / "log.jsonl").write_bytes(bad + b"\n" + json.dumps(GOOD).encode() + b"\n")
    done = load(tmp_path / "log.jsonl")
    assert done.frame["#row"].to_list() == [2]
    assert "UTF-8" in done.rejected[0].reason


def test_a_video_told_twice_is_a_repeat_and_told_differently_is_rejected(tmp_path: Path, load: Load) -> None:
    (tmp_path / "v.csv").write_text("video_id,author_id\n1,a\n2,a\n1,a\n2,b\n3,c\n")
    for chunk_rows in (1, 2, 100):
        done = load(tmp_path / "v.csv", "videos", chunk_rows=chunk_rows)
        assert done.frame["video_id"].to_list() == ["1", "2", "3"]
        assert done.repeated == 1
        assert [(row.line, row.reason) for row in done.rejected] == [
            (4, "'2' is already row 2, with other values")
        ]


def test_counts_of_people_cannot_be_negative(tmp_path: Path, load: Load) -> None:
    (tmp_path / "p.csv").write_text("person_id,follow_count,fan_count\np1,3,\np2,-1,0\n,1,1\n")
    done = load(tmp_path / "p.csv", "people")
    assert done.frame["person_id"].to_list() == ["p1"]
    assert [row.field for row in done.rejected] == ["follow_count", "person_id"]
