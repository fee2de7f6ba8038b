"""A file that cannot be used at all is refused before anything is read into anything."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from whole_file import Load

from zhiliu.events.connectors import FileError, Mapping, MappingError

EVENTS = pl.DataFrame(
    {"type": ["like"] * 5000, "time": [1_650_000_000_000] * 5000, "person_id": [f"p{i}" for i in range(5000)],
     "video_id": ["v"] * 5000}
)  # fmt: skip


def refused(load: Load, path: Path, kind: str = "events", mapping: Mapping | None = None) -> str:
    with pytest.raises(FileError) as caught:
        load(path, kind, mapping)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, load: Load, suffix: str) -> None:
    path = tmp_path / f"log.{suffix}"
    path.touch()
    assert "is empty" in refused(load, path)


def test_a_header_without_rows_is_refused(tmp_path: Path, load: Load) -> None:
    (tmp_path / "log.csv").write_text("type,time,person_id,video_id\n")
    EVENTS.clear().write_parquet(tmp_path / "log.parquet")
    assert "no rows" in refused(load, tmp_path / "log.csv")
    assert "no rows" in refused(load, tmp_path / "log.parquet")


def test_a_missing_file_is_refused(tmp_path: Path, load: Load) -> None:
    assert "no such file" in refused(load, tmp_path / "nothing.csv")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_half_written_parquet_file_is_refused(tmp_path: Path, load: Load, share: float) -> None:
    EVENTS.write_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "log.parquet").write_bytes(whole[: int(len(whole) * share)])
    assert "half-written" in refused(load, tmp_path / "log.parquet")


def test_a_parquet_file_with_a_damaged_page_is_refused_though_its_footer_is_whole(
    tmp_path: Path, load: Load
) -> None:
    EVENTS.write_parquet(tmp_path / "log.parquet", compression="zstd")
    data = bytearray((tmp_path / "log.parquet").read_bytes())
    middle = data.index(b"\x28\xb5\x2f\xfd", len(data) // 2)  # the start of a zstd frame
    data[middle : middle + 40] = b"\0" * 40
    (tmp_path / "log.parquet").write_bytes(data)
    assert "not a whole Parquet file" in refused(load, tmp_path / "log.parquet")


def test_text_that_is_no_parquet_is_refused(tmp_path: Path, load: Load) -> None:
    (tmp_path / "log.parquet").write_text("type,time\n")
    assert "not a whole Parquet file" in refused(load, tmp_path / "log.parquet")


def test_a_csv_that_is_not_utf8_is_refused_with_the_place(tmp_path: Path, load: Load) -> None:
    (tmp_path / "log.csv").write_bytes(
        "type,time,person_id,video_id\nlike,1650000000000,é,v\n".encode("latin-1")
    )
    assert "not UTF-8 near byte 48" in refused(load, tmp_path / "log.csv")


def test_a_csv_with_a_column_name_twice_is_refused(tmp_path: Path, load: Load) -> None:
    (tmp_path / "log.csv").write_text("type,type\nlike,like\n")
    assert "different name" in refused(load, tmp_path / "log.csv")


def test_an_unknown_column_is_refused_with_the_known_ones_and_what_to_say(tmp_path: Path, load: Load) -> None:
    EVENTS.with_columns(colour=pl.lit("red")).write_parquet(tmp_path / "log.parquet")
    message = refused(load, tmp_path / "log.parquet")
    assert "unknown column 'colour'" in message
    assert "event_id, type, time, person_id" in message
    assert "--ignore colour" in message


def test_a_missing_required_column_is_refused(tmp_path: Path, load: Load) -> None:
    EVENTS.drop("time").write_parquet(tmp_path / "log.parquet")
    assert "no column for time" in refused(load, tmp_path / "log.parquet")
    EVENTS.drop("person_id").write_parquet(tmp_path / "log.parquet")
    assert "no column for person_id" in refused(load, tmp_path / "log.parquet")


def test_a_column_of_a_type_that_never_fits_is_refused(tmp_path: Path, load: Load) -> None:
    EVENTS.with_columns(time=pl.lit(value=True)).write_parquet(tmp_path / "log.parquet")
    message = refused(load, tmp_path / "log.parquet")
    assert "column for 'time' is Boolean; it must hold whole milliseconds UTC" in message


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (Mapping({"who": "person_id"}), "'who' is not a field of events"),
        (Mapping({"person_id": "user"}), "no column 'user' (mapped to 'person_id')"),
        (Mapping(units={"time": "weeks"}), "unknown unit 'weeks' for 'time'"),
        (Mapping(units={"surface": "s"}), "'surface' has no unit"),
        (Mapping(units={"when": "s"}), "'when' is not a field of events"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(
    tmp_path: Path, load: Load, mapping: Mapping, said: str
) -> None:
    EVENTS.write_parquet(tmp_path / "log.parquet")
    assert said in refused(load, tmp_path / "log.parquet", mapping=mapping)


def test_a_mapping_flag_without_equals_and_a_broken_mapping_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="write --map FIELD=COLUMN"):
        Mapping().with_flags(columns=["person_id"])
    (tmp_path / "m.toml").write_text("[colums]\na = 'b'\n")
    with pytest.raises(MappingError, match="unknown table 'colums'"):
        Mapping.from_file(tmp_path / "m.toml")
    (tmp_path / "m.toml").write_text("[columns\n")
    with pytest.raises(MappingError, match="not a readable TOML"):
        Mapping.from_file(tmp_path / "m.toml")
