"""A wrong cell of an impressions file is named before anything is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.train_fixtures import snapshot_of

from zhiliu.evaluate.impressions import ImpressionsError, read_impressions
from zhiliu.testing.synthetic import START_MS, synthetic_log
from zhiliu.train.log import TrainingLog


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> TrainingLog:
    made = synthetic_log(people=4, videos=8, impressions=40)
    return TrainingLog.load(snapshot_of(made, tmp_path_factory.mktemp("log")))


def three() -> pl.DataFrame:
    """Three good rows."""
    flags = ("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view")
    return pl.DataFrame({
        "user_id": ["p0", "p1", "p2"], "video_id": ["v0", "v1", "v2"],
        "time_ms": [START_MS, START_MS + 1, START_MS + 2],
        "play_time_ms": [0, 5, 9000], "duration_ms": [9000, 9000, 9000], "tab": [1, 1, 2],
        **{flag: [0, 1, 0] for flag in flags},
    })  # fmt: skip


def second(column: str, value: Any) -> pl.DataFrame:
    """The same with another value in the second row."""
    frame = three()
    cells = frame[column].to_list()
    cells[1] = value
    return frame.with_columns(pl.Series(column, cells, strict=False))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("time_ms", START_MS // 1000, "looks like seconds"),
        ("time_ms", START_MS * 1000, "after 2100"),
        ("time_ms", 900_000_000_000, "before 2000"),
        ("time_ms", -5, "before 2000"),
        ("time_ms", None, "is empty; it must be whole milliseconds"),
        ("time_ms", float("nan"), "is nan"),
        ("user_id", None, "must be an id"),
        ("video_id", None, "must be an id"),
        ("play_time_ms", None, "0 or more"),
        ("play_time_ms", -1, "0 or more"),
        ("play_time_ms", 90_000_000, "more than a day"),
        ("duration_ms", float("inf"), "0 or more"),
        ("tab", None, "0 or more"),
        ("is_click", 2, "must be 0 or 1"),
        ("is_like", None, "must be 0 or 1"),
        ("is_hate", 0.5, "must be 0 or 1"),
        ("long_view", float("nan"), "must be 0 or 1"),
    ],
)
def test_a_wrong_cell_is_named_with_its_column_and_row(
    column: str, value: Any, said: str, log: TrainingLog, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.parquet"
    second(column, value).write_parquet(file)
    with pytest.raises(ImpressionsError, match=f"column {column}, row 2: .*{said}"):
        read_impressions(file, log)


def test_words_in_a_csv_are_named(log: TrainingLog, tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    second("time_ms", None).with_columns(pl.Series("time_ms", ["x", "y", "z"])).write_csv(file)
    with pytest.raises(ImpressionsError, match="column time_ms, row 1: is 'x'; it must be whole"):
        read_impressions(file, log)


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.Boolean])
def test_flags_of_any_type_mean_the_same(kind: Any, log: TrainingLog, tmp_path: Path) -> None:
    file = tmp_path / "good.parquet"
    three().with_columns(pl.col("is_click", "long_view").cast(kind)).write_parquet(file)
    read = read_impressions(file, log)
    assert read.labels.sum(0)[:2].tolist() == [1.0, 1.0]
    assert read.time_ms.tolist() == [START_MS, START_MS + 1, START_MS + 2]
