"""``zhiliu train`` and ``zhiliu evaluate ranking`` from a shell, on a log that holds a pattern."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from zhiliu.store import open_store
from zhiliu.testing.synthetic import START_MS, SyntheticLog, synthetic_log
from zhiliu.types import EventType

CUT = "2023-11-19T22:13:20+00:00"
CUT_MS = START_MS + 5 * 86_400_000


def zhiliu(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """One command line; fails the test on another exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "zhiliu", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return synthetic_log(impressions=4000)


@pytest.fixture(scope="module")
def workspace(log: SyntheticLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Imported and trained up to the cut."""
    folder = tmp_path_factory.mktemp("workspace")
    with open_store(f"sqlite:///{folder / 'zhiliu.db'}") as store:
        store.catalog.put(log.videos)
        store.people.put(log.people)
        store.events.append(log.events)
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:  # left half an artifact
        killed.wait()
    stale = folder / "artifacts" / f".staging-1-{killed.pid}"
    stale.mkdir(parents=True)
    done = zhiliu(
        "train",
        "--workspace",
        str(folder),
        "--until",
        CUT,
        "--retrieval",
        "popularity",
        "--epochs",
        "2",
        "--json",
    )
    result = json.loads(done.stdout)
    assert result["until_ms"] == CUT_MS
    assert set(result["metrics"]) == {"popularity", "multitask"}
    assert not stale.exists()
    return folder


def impressions(log: SyntheticLog) -> pl.DataFrame:
    """The impressions after the cut in KuaiRand's columns."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    duration = {v.video_id: v.duration_ms for v in log.videos}
    flags = {EventType.LIKE: "is_like", EventType.FOLLOW: "is_follow", EventType.SHARE_CREATE: "is_forward"}
    for e in log.events:
        key = (e.request_id or "", e.video_id or "")
        if e.type is EventType.IMPRESSION:
            zero = dict.fromkeys(
                ("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate"), 0
            )
            rows[key] = {
                "user_id": e.person_id, "video_id": e.video_id, "time_ms": e.time, **zero, "long_view": 0,
                "play_time_ms": 0, "duration_ms": duration[e.video_id or ""], "tab": 1,
            }  # fmt: skip
        elif e.type is EventType.VIEW:
            watch, length = e.watch_ms or 0, rows[key]["duration_ms"]
            rows[key] |= {
                "play_time_ms": watch,
                "is_click": int(watch >= 3000 or watch >= length / 2),
                "long_view": int(watch >= min(18_000, length)),
            }
        elif e.type in flags:
            rows[key][flags[e.type]] = 1
    return pl.DataFrame([r for r in rows.values() if r["time_ms"] >= CUT_MS])


def test_the_trained_model_is_judged_on_any_impressions_file(
    workspace: Path, log: SyntheticLog, tmp_path: Path
) -> None:
    file = tmp_path / "future.parquet"
    frame = impressions(log)
    frame.write_parquet(file)
    arguments = ("evaluate", "ranking", "--impressions", str(file), "--workspace", str(workspace), "--json")
    frozen = json.loads(zhiliu(*arguments).stdout)
    assert (frozen["rows"], frozen["people"]) == (frame.height, frame["user_id"].n_unique())
    assert set(frozen["heads"]["long_view"]) >= {"auc", "gauc", "log_loss", "ece", "mse", "auc_95", "gauc_95"}
    assert frozen["heads"]["long_view"]["auc"] > 0.65
    live = json.loads(zhiliu(*arguments, "--state", "live").stdout)
    assert live["state"] == "live"
    assert live["heads"]["long_view"]["auc"] != frozen["heads"]["long_view"]["auc"]


def test_the_frozen_state_does_not_depend_on_what_came_after_the_cut(
    workspace: Path, log: SyntheticLog, tmp_path: Path
) -> None:
    file = tmp_path / "future.csv"
    impressions(log).write_csv(file)
    arguments = ("evaluate", "ranking", "--impressions", str(file), "--workspace", str(workspace), "--json")
    before = json.loads(zhiliu(*arguments).stdout)["heads"]
    with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
        later = synthetic_log(impressions=300, seed=9).events
        moved = [e for e in later if e.time >= CUT_MS]
        renamed = [
            type(e)(**{**{f: getattr(e, f) for f in e.__struct_fields__}, "event_id": f"n{e.event_id}"})
            for e in moved
        ]
        store.events.append(renamed)
    assert json.loads(zhiliu(*arguments).stdout)["heads"] == before


def test_rows_from_before_the_training_cut_are_counted_and_said(
    workspace: Path, log: SyntheticLog, tmp_path: Path
) -> None:
    file = tmp_path / "early.parquet"
    frame = impressions(log)
    pl.concat([frame, frame.head(5).with_columns(time_ms=pl.lit(START_MS))]).write_parquet(file)
    done = zhiliu("evaluate", "ranking", "--impressions", str(file), "--workspace", str(workspace), "--json")
    assert json.loads(done.stdout)["before_cut"] == 5
    assert "5 rows are from before the training cut" in done.stderr


def test_rows_of_unknown_videos_are_left_out_and_counted(
    workspace: Path, log: SyntheticLog, tmp_path: Path
) -> None:
    file = tmp_path / "strange.parquet"
    frame = impressions(log)
    strange = frame.head(3).with_columns(video_id=pl.lit("nobody knows"))
    pl.concat([frame, strange]).write_parquet(file)
    result = json.loads(
        zhiliu(
            "evaluate", "ranking", "--impressions", str(file), "--workspace", str(workspace), "--json"
        ).stdout
    )
    assert (result["rows"], result["left_out"]) == (frame.height, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop("tab"), "column tab missing"),
        (lambda f: f.with_columns(video_id=pl.lit("x")), "no row names a video of this workspace"),
    ],
)
def test_a_wrong_impressions_file_gets_one_clear_line(
    change: Any, said: str, workspace: Path, log: SyntheticLog, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.parquet"
    change(impressions(log)).write_parquet(file)
    done = zhiliu("evaluate", "ranking", "--impressions", str(file), "--workspace", str(workspace), code=1)
    assert said in done.stderr.splitlines()[-1]


def test_a_damaged_impressions_file_gets_one_clear_line(workspace: Path, tmp_path: Path) -> None:
    file = tmp_path / "half.parquet"
    file.write_bytes(b"PAR1" + bytes(np.arange(50, dtype=np.uint8)))
    done = zhiliu("evaluate", "ranking", "--impressions", str(file), "--workspace", str(workspace), code=1)
    assert "cannot be read" in done.stderr.splitlines()[-1]


def test_evaluating_without_a_model_says_to_train_one(tmp_path: Path) -> None:
    zhiliu("init", str(tmp_path / "w"))
    done = zhiliu(
        "evaluate", "ranking", "--impressions", "x.parquet", "--workspace", str(tmp_path / "w"), code=1
    )
    assert "zhiliu train" in done.stderr


@pytest.mark.parametrize(
    ("flags", "said", "code"),
    [
        (("--model", "gpt"), "known: multitask, concat, cf", 2),
        (("--until", "yesterday"), "is not an ISO time", 2),
        (("--until", "2022-05-01"), "has no offset", 2),
        (("--retrieval", "magic"), "known: popularity", 2),
        (("--tracker", "pencil"), "known: tensorboard, wandb, mlflow", 2),
        (("--tracker", "wandb"), "pip install wandb", 1),
    ],
)
def test_a_wrong_flag_is_named_before_any_work(
    flags: tuple[str, str], said: str, code: int, workspace: Path
) -> None:
    before = sorted(p.name for p in (workspace / "artifacts").iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "zhiliu", "train", "--workspace", str(workspace), *flags],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert said in done.stderr
    assert sorted(p.name for p in (workspace / "artifacts").iterdir()) == before


def test_training_an_empty_workspace_says_to_import_first(tmp_path: Path) -> None:
    zhiliu("init", str(tmp_path / "w"))
    done = zhiliu("train", "--workspace", str(tmp_path / "w"), code=1)
    assert "import a feed log first" in done.stderr.splitlines()[-1]
    assert not list((tmp_path / "w" / "artifacts").glob("*"))
