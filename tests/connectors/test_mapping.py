"""Columns with other names, units and types become the fields they mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from whole_file import Load

from zhiliu.events.connectors import Mapping

TIME_MS = 1_650_844_800_000  # 2022-04-25T00:00Z


def test_a_mapped_parquet_log_in_seconds_becomes_events(tmp_path: Path, load: Load) -> None:
    pl.DataFrame(
        {"user": [1.0, 2.0], "ts": [1_650_844_800, 1_650_844_800.25], "clip": [7, 8], "seen_s": [1.5, None],
         "device": ["ios", None], "score": [0.5, float("nan")], "junk": [1, 2]},
        strict=False,
    ).write_parquet(tmp_path / "log.parquet")  # fmt: skip
    mapping = Mapping(
        {"person_id": "user", "time": "ts", "video_id": "clip", "watch_ms": "seen_s", "props.os": "device",
         "props.score": "score"},
        {"type": "view"},
        {"time": "s", "watch_ms": "s"},
        ("junk",),
    )  # fmt: skip
    done = load(tmp_path / "log.parquet", mapping=mapping)
    assert done.rejected == []
    rows = done.frame.to_dicts()
    assert [(r["person_id"], r["video_id"], r["time"], r["watch_ms"]) for r in rows] == [
        ("1", "7", TIME_MS, 1500), ("2", "8", TIME_MS + 250, None),
    ]  # fmt: skip
    assert [json.loads(r["props"]) for r in rows] == [{"os": "ios", "score": 0.5}, {}]
    assert {r["type"] for r in rows} == {"view"}
    assert {r["surface"] for r in rows} == {"for_you"}


def test_flags_and_file_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        'ignore = ["junk"]\n[columns]\nperson_id = "user"\n"props.os" = "device"\n[columns.props]\nnet = "net"\n'
        '[constants]\ntype = "view"\n[units]\ntime = "s"\n'
    )
    flags = Mapping().with_flags(
        ["person_id=user", "props.os=device", "props.net=net"], ["type=view"], ["time=s"], ["junk"]
    )
    assert Mapping.from_file(tmp_path / "m.toml") == flags


def test_iso_text_and_parquet_datetimes_become_ms(tmp_path: Path, load: Load) -> None:
    (tmp_path / "v.csv").write_text(
        "video_id,author_id,published_ms\n1,a,2022-04-25T08:00:00+08:00\n2,a,2022-04-25 00:00:00\n3,a,yesterday\n"
    )
    done = load(tmp_path / "v.csv", "videos", Mapping(units={"published_ms": "iso"}))
    assert done.frame["published_ms"].to_list() == [TIME_MS, TIME_MS]
    assert done.rejected[0].line == 3
    when = datetime(2022, 4, 25, tzinfo=UTC)
    pl.DataFrame({"video_id": ["1"], "author_id": ["a"], "published_ms": [when]}).write_parquet(
        tmp_path / "v.parquet"
    )
    assert load(tmp_path / "v.parquet", "videos").frame["published_ms"].to_list() == [TIME_MS]


def test_tags_come_as_lists_or_with_commas(tmp_path: Path, load: Load) -> None:
    (tmp_path / "v.csv").write_text('video_id,author_id,tags\n1,a,"maths, 线性代数,"\n2,a,\n')
    assert load(tmp_path / "v.csv", "videos").frame["tags"].to_list() == [["maths", "线性代数"], []]
    pl.DataFrame({"video_id": ["1"], "author_id": ["a"], "tags": [[3, 4]]}).write_parquet(
        tmp_path / "v.parquet"
    )
    assert load(tmp_path / "v.parquet", "videos").frame["tags"].to_list() == [["3", "4"]]
    (tmp_path / "v.jsonl").write_text('{"video_id":1,"author_id":"a","tags":["x","y"]}\n')
    assert load(tmp_path / "v.jsonl", "videos").frame["tags"].to_list() == [["x", "y"]]


def test_mapped_json_lines_keep_nested_values_in_props(tmp_path: Path, load: Load) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"u":7,"t":1650844800000,"v":"a","act":"like","ctx":{"net":"wifi"},"x":null,"drop":[1]}\n'
    )
    mapping = Mapping(
        {"person_id": "u", "time": "t", "video_id": "v", "type": "act", "props.ctx": "ctx", "props.x": "x"},
        ignore=("drop",),
    )
    done = load(tmp_path / "log.jsonl", mapping=mapping)
    assert done.rejected == []
    assert done.frame["person_id"].to_list() == ["7"]
    assert json.loads(done.frame["props"][0]) == {"ctx": {"net": "wifi"}}


def test_made_event_ids_depend_on_content_and_not_on_place_or_chunk(tmp_path: Path, load: Load) -> None:
    head, row, other = (
        "type,time,person_id,video_id\n",
        "like,1650844800000,p,v\n",
        "like,1650844800000,q,v\n",
    )
    (tmp_path / "a.csv").write_text(head + row + other)
    (tmp_path / "b.csv").write_text(head + other + row + row)
    a = load(tmp_path / "a.csv").frame["event_id"].to_list()
    b = load(tmp_path / "b.csv", chunk_rows=1).frame["event_id"].to_list()
    assert b == [a[1], a[0], a[0]]
    assert a[0] != a[1]


def test_a_byte_order_mark_and_line_breaks_in_quotes_do_no_harm(tmp_path: Path, load: Load) -> None:
    (tmp_path / "v.csv").write_text('﻿video_id,author_id,title\n1,a,"two\nlines"\n2,b,x\n', "utf-8")
    done = load(tmp_path / "v.csv", "videos")
    assert done.frame["title"].to_list() == ["two\nlines", "x"]
    assert done.frame["#row"].to_list() == [1, 2]
