"""The real log: what its rows become."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from whole_file import NOW_MS

from zhiliu.events.connectors import FileError, open_kuairand
from zhiliu.events.connectors.kuairand_histories import END_MS, FLOOR_MS, SPAN_MS
from zhiliu.events.connectors.kuairand_histories import events as history_events

DATA = Path(__file__).parents[2] / "data" / "kuairand"
IMPRESSIONS = pl.read_parquet(DATA / "impressions.parquet")


def read(folder: Path, chunk_rows: int = 200_000) -> dict[str, tuple[pl.DataFrame, int, int, int]]:
    """File and kind → frame, repeated, merged, rejected."""
    found = {}
    for source in open_kuairand(folder, now_ms=NOW_MS, chunk_rows=chunk_rows).sources:
        parts = [chunk.load() for chunk in source.chunks()]
        found[f"{source.path.stem} {source.kind}"] = (
            pl.concat(part.frame for part in parts),
            sum(part.repeated for part in parts),
            sum(part.merged for part in parts),
            sum(len(part.rejected) for part in parts),
        )
    return found


def folder_with(tmp_path: Path, impressions: pl.DataFrame) -> Path:
    impressions.write_parquet(tmp_path / "impressions.parquet")
    for name in ("videos", "users"):
        shutil.copy(DATA / f"{name}.parquet", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole() -> dict[str, tuple[pl.DataFrame, int, int, int]]:
    return read(DATA)


def test_the_whole_log_has_5271_rows_written_twice_and_none_is_rejected(
    whole: dict[str, tuple[pl.DataFrame, int, int, int]],
) -> None:
    found = whole
    events, repeated, merged, rejected = found["impressions events"]
    assert (repeated, merged, rejected) == (5271, 13, 0)
    kinds = dict(events["type"].value_counts().iter_rows())
    assert kinds["impression"] == IMPRESSIONS.height - 5271 - 13
    assert events["event_id"].n_unique() == events.height
    assert {found[f"{name}"][3] for name in ("videos videos", "users people", "histories events")} == {0}


def test_one_impression_becomes_its_events(tmp_path: Path) -> None:
    row = IMPRESSIONS.filter((pl.col("is_follow") == 1) & (pl.col("is_like") == 1)).head(1)
    events = read(folder_with(tmp_path, row))["impressions events"][0]
    user, video, time_ms, play_ms, tab = row.select(
        "user_id", "video_id", "time_ms", "play_time_ms", "tab"
    ).row(0)
    by_type = {e["type"]: e for e in events.to_dicts()}
    assert {"impression", "view", "like", "follow"} <= set(by_type)
    assert by_type["impression"]["event_id"] == f"kr:i:{user}:{video}:{time_ms}"
    assert by_type["impression"]["time"] == time_ms
    assert by_type["view"]["event_id"] == f"kr:v:{user}:{video}:{time_ms}"
    assert by_type["view"]["watch_ms"] == play_ms
    assert json.loads(by_type["view"]["props"]) == {
        "click": row["is_click"][0],
        "long_view": row["long_view"][0],
    }
    assert {e["time"] for t, e in by_type.items() if t != "impression"} == {time_ms + play_ms}
    assert {e["request_id"] for e in by_type.values()} == {f"kr:{user}:{time_ms}"}
    assert {e["surface"] for e in by_type.values()} == {"for_you" if tab == 1 else f"tab{tab}"}
    author = pl.read_parquet(DATA / "videos.parquet").filter(pl.col("video_id") == video)["author_id"][0]
    assert json.loads(by_type["follow"]["props"]) == {"author_id": f"a:{author}"}


def test_an_impression_that_was_not_played_has_no_view(tmp_path: Path) -> None:
    row = IMPRESSIONS.filter((pl.col("is_click") == 0) & (pl.col("play_time_ms") == 0)).head(1)
    assert read(folder_with(tmp_path, row))["impressions events"][0]["type"].to_list() == ["impression"]


def test_rows_written_twice_are_found_across_chunks(tmp_path: Path) -> None:
    row = IMPRESSIONS.head(1)
    folder = folder_with(tmp_path, pl.concat([row, row, IMPRESSIONS.slice(1, 1)]))
    chunks = open_kuairand(folder, now_ms=NOW_MS, chunk_rows=2).sources[-1].chunks()  # one row each
    done = [chunk.load() for chunk in chunks]
    assert [part.repeated for part in done] == [0, 1, 0]
    assert [part.frame.is_empty() for part in done] == [False, True, False]


def test_impressions_as_csv_give_the_same_events(tmp_path: Path) -> None:
    some = IMPRESSIONS.head(2000)
    as_parquet = read(folder_with(tmp_path, some))["impressions events"][0]
    (tmp_path / "impressions.parquet").unlink()
    some.write_csv(tmp_path / "impressions.csv")
    assert read(tmp_path)["impressions events"][0].equals(as_parquet)


def test_bad_impression_rows_are_rejected_with_their_line(tmp_path: Path) -> None:
    bad = IMPRESSIONS.head(5).with_columns(
        time_ms=pl.Series([1_650_812_741, *IMPRESSIONS["time_ms"][1:5]]),
        play_time_ms=pl.Series([1.0, float("nan"), -3.0, 5.0, 5.0]),
        is_like=pl.Series([0, 0, 0, 2, 0]),
    )
    source = open_kuairand(folder_with(tmp_path, bad), now_ms=NOW_MS).sources[-1]
    done = next(source.chunks()).load()
    assert [(r.line, r.field) for r in done.rejected] == [
        (1, "time_ms"), (2, "play_time_ms"), (3, "play_time_ms"), (4, "is_like"),
    ]  # fmt: skip
    assert "looks like seconds" in done.rejected[0].reason
    assert done.frame["#row"].unique().to_list() == [5]


def test_a_folder_without_videos_says_what_lacks_and_makes_stubs_with_durations(tmp_path: Path) -> None:
    IMPRESSIONS.head(100).write_parquet(tmp_path / "impressions.parquet")
    folder = open_kuairand(tmp_path, now_ms=NOW_MS)
    assert [note.split(": ")[1] for note in folder.notes] == [
        f"no {name}.parquet" for name in ("histories", "videos", "users")
    ]
    assert "no authors, no tags" in folder.notes[1]
    assert folder.sources[0].only_new
    videos = next(folder.sources[0].chunks()).load().frame
    assert set(videos["video_id"]) == {str(v) for v in IMPRESSIONS.head(100)["video_id"]}
    told = IMPRESSIONS.head(100).select(pl.col("video_id").cast(pl.String), "duration_ms").unique("video_id")
    joined = videos.join(told, on="video_id")
    assert (joined["duration_ms"] == joined["duration_ms_right"]).all()


@pytest.mark.parametrize("missing", ["histories", "videos", "users"])
def test_any_file_but_impressions_may_be_missing(tmp_path: Path, missing: str) -> None:
    folder = folder_with(tmp_path, IMPRESSIONS.head(100))
    pl.read_parquet(DATA / "histories.parquet").head(50).write_parquet(tmp_path / "histories.parquet")
    (folder / f"{missing}.parquet").unlink()
    assert read(folder)["impressions events"][3] == 0


def test_unusable_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such folder"):
        open_kuairand(tmp_path / "nothing", now_ms=NOW_MS)
    with pytest.raises(FileError, match=r"no impressions\.parquet"):
        open_kuairand(tmp_path, now_ms=NOW_MS)
    folder = folder_with(tmp_path, IMPRESSIONS.head(5).drop("tab"))
    with pytest.raises(FileError, match="no column tab"):
        open_kuairand(folder, now_ms=NOW_MS)
    folder_with(tmp_path, IMPRESSIONS.head(5).with_columns(colour=1))
    with pytest.raises(FileError, match="unknown column colour; known are user_id"):
        open_kuairand(folder, now_ms=NOW_MS)


def test_videos_keep_their_metadata(whole: dict[str, tuple[pl.DataFrame, int, int, int]]) -> None:
    raw = pl.read_parquet(DATA / "videos.parquet")
    videos = whole["videos videos"][0]
    first = videos.row(0, named=True)
    assert (first["video_id"], first["author_id"], first["tags"]) == ("0", "a:7349781", ["39"])
    assert first["kind"] == "normal"
    assert first["published_ms"] == 1_649_520_000_000  # 2022-04-10 00:00 in Beijing
    assert first["duration_ms"] == round(raw["video_duration"][0])
    assert set(json.loads(first["props"])) == {"upload_type", "music_id", "music_type", "width", "height"}
    assert videos.filter(raw["tag"].is_null())["tags"].list.len().max() == 0


def test_a_video_without_a_duration_borrows_the_one_most_impressions_tell(tmp_path: Path) -> None:
    row = IMPRESSIONS.head(1)
    shown = pl.concat(
        row.with_columns(duration_ms=pl.lit(ms), time_ms=pl.col("time_ms") + i)
        for i, ms in enumerate((9000, 7000, 7000))
    )
    folder = folder_with(tmp_path, shown)
    one = pl.read_parquet(DATA / "videos.parquet").filter(pl.col("video_id") == row["video_id"][0])
    one.with_columns(video_duration=pl.lit(None, pl.Float64)).write_parquet(folder / "videos.parquet")
    assert read(folder)["videos videos"][0]["duration_ms"].to_list() == [7000]


def histories(*rows: tuple[int, list[int], list[int], list[int]]) -> pl.DataFrame:
    lists = pl.List(pl.Int64)
    return pl.DataFrame(
        [(7, n, watch, like, long) for n, watch, like, long in rows],
        schema={"user_id": pl.Int64, "history_len": pl.Int64, "watch_seq": lists, "like_seq": lists,
                "long_watch_seq": lists},
        orient="row",
    ).with_row_index("#row", offset=1)  # fmt: skip


def test_history_times_are_spread_evenly_and_outcomes_follow_their_impression() -> None:
    frame = history_events(histories((4, [10, 11, 10, 12], [12], [10, 11])), "h").frame
    step = SPAN_MS // 4
    rows = {e["event_id"]: e for e in frame.to_dicts()}
    assert [rows[f"kr:h:7:watch:{i}"]["time"] for i in range(4)] == [
        END_MS - (4 - i) * step for i in range(4)
    ]
    assert rows["kr:h:7:long_watch:0"]["time"] == END_MS - 2 * step + 1  # the newest watch of video 10
    assert rows["kr:h:7:long_watch:1"]["time"] == END_MS - 3 * step + 1
    assert rows["kr:h:7:like:0"]["time"] == END_MS - step + 1
    assert json.loads(rows["kr:h:7:long_watch:0"]["props"]) == {
        "long_view": 1, "click": 1, "time": "estimated",
    }  # fmt: skip
    assert {e["surface"] for e in rows.values()} == {"history"}
    assert frame["watch_ms"].null_count() == frame.height
    assert frame["time"].is_sorted()


def test_a_watch_entry_is_used_once_and_older_outcomes_lie_before_the_window() -> None:
    frame = history_events(histories((100, [10, 11], [], [10, 10, 99])), "h").frame
    rows = {e["event_id"]: e["time"] for e in frame.to_dicts()}
    window = rows["kr:h:7:watch:0"]
    assert rows["kr:h:7:long_watch:1"] == window + 1
    assert FLOOR_MS <= rows["kr:h:7:long_watch:0"] < rows["kr:h:7:long_watch:2"] < window
    assert frame.filter(pl.col("type") == "impression").height == 2


def test_a_person_with_an_empty_history_is_fine_and_a_negative_length_is_not() -> None:
    done = history_events(histories((0, [], [], []), (-1, [1], [], [])), "h")
    assert done.frame.height == 0
    assert [(r.line, r.field) for r in done.rejected] == [(2, "history_len")]


def test_a_history_column_that_is_no_list_is_refused() -> None:
    with pytest.raises(FileError, match="column 'like_seq' is String; it must be a list"):
        history_events(histories((0, [], [], [])).with_columns(like_seq=pl.lit("1,2")), "h")
