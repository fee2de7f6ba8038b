"""A folder as a reader has it: the bundled log beside him, made small so that the pages run in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.docs.pages import ROOT

PEOPLE = 120


@pytest.fixture(scope="session")
def small_kuairand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data/kuairand`` with the first people only."""
    source, out = ROOT / "data" / "kuairand", tmp_path_factory.mktemp("sample") / "kuairand"
    out.mkdir()
    impressions = pl.read_parquet(source / "impressions.parquet")
    people = impressions["user_id"].unique().sort().head(PEOPLE)
    for name in ("impressions", "histories", "users"):
        rows = pl.read_parquet(source / f"{name}.parquet")
        rows.filter(pl.col("user_id").is_in(people.implode())).write_parquet(out / f"{name}.parquet")
    shutil.copy(source / "videos.parquet", out / "videos.parquet")
    return out


@pytest.fixture
def folder(small_kuairand: Path, tmp_path: Path) -> Path:
    """Where a page's commands run."""
    shutil.copytree(small_kuairand, tmp_path / "data" / "kuairand")
    return tmp_path
