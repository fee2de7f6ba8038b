"""Every knob, typed, in one object: flag > ``ZHILIU_*`` > ``zhiliu.toml`` > default; unknown keys fail."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

SHORTEST_KEY = 16
"""Characters of an API key; shorter ones can be guessed over the network."""


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what would be right."""


class Section(BaseModel):
    """A table of ``zhiliu.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(Section):
    """Where the truth lives."""

    url: str = ""
    """Empty: SQLite in the workspace. ``postgresql://user:password@host/db`` for PostgreSQL."""
    commit_queue: int = Field(default=50_000, gt=0)
    """Events waiting for the writer thread; beyond it new batches are refused (503), never dropped."""


class FeedSettings(Section):
    """What a page is made of."""

    rank_limit: int = Field(default=500, gt=0, le=5000)
    """Candidates ranked a request; small: faster, large: fewer good ones missed."""
    history: int = Field(default=100, gt=0, le=1000)
    """Newest interactions of a person that features and the sequence model see."""
    sources: dict[str, int] = {
        "two_tower": 250, "als": 350, "similar": 60, "following": 50, "social": 30, "trending": 30,
        "popularity": 30,
    }  # fmt: skip
    """Source name -> how many candidates to ask it for."""
    weights: dict[str, float] = {
        "click": 0.5, "long_view": 2.0, "complete": 0.5, "like": 2.0, "follow": 3.0, "comment": 2.0,
        "share": 3.0, "hide": -8.0, "watch_ms": 0.00001,
    }  # fmt: skip
    """Head -> its weight in the objective (a weighted sum)."""
    objective: str = "weighted_sum"
    """What blends the heads into one score; ``weighted_sum`` goes by ``weights``."""
    reranker: str = "mmr"
    diversity: float = Field(default=0.2, ge=0, le=1)
    """MMR trade-off: 0 is the score alone, 1 is variety alone."""
    author_gap: int = Field(default=4, ge=0)
    """The same author not again within this many slots."""
    topic_gap: int = Field(default=1, ge=0)
    """The same first topic not again within this many slots; 0 lets a slate be about one thing."""
    filters: tuple[str, ...] = ("available", "surface", "seen", "hidden")
    """Rules every candidate must pass, in this order; ``available`` goes first."""
    hydrators: tuple[str, ...] = ()
    """Components that add columns before ranking; the trained ranker brings its own features."""
    ranker: str = "auto"
    """``auto``: the trained one of the artifact, ``popularity`` without one."""
    explainer: str = "reasons"


class ServeSettings(Section):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    api_keys: tuple[str, ...] = ()
    """Keys that may call the API, each of 16 characters or more; required on any address but loopback."""
    start_ms: int = Field(default=0, ge=0)
    """0: the machine's clock. Otherwise the server starts at this moment (ms UTC) and its clock runs on from there:
    to show a log of the past as if it were now."""
    artifact_poll_s: float = Field(default=2.0, gt=0)
    """How often the server looks for a newer artifact."""
    batch_limit: int = Field(default=1000, gt=0)
    """Most events one POST may carry."""

    @field_validator("api_keys")
    @classmethod
    def _hard_to_guess(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for i, key in enumerate(keys):  # the message never shows the key
            if len(key) < SHORTEST_KEY or any(c.isspace() or not c.isprintable() for c in key):
                raise ValueError(
                    f"key {i + 1} of {len(keys)} must be {SHORTEST_KEY} characters or more, without blanks "
                    f"(seen: {len(key)} characters)"
                )
        return keys


class Settings(BaseSettings):
    """The one settings object. Build it with :func:`load`."""

    model_config = SettingsConfigDict(
        env_prefix="ZHILIU_", env_nested_delimiter="__", extra="forbid", frozen=True, toml_file="zhiliu.toml"
    )

    workspace: Path = Path("zhiliu-data")
    timezone_offset_h: float = 8.0
    """Hours from UTC of the people served; the hour-of-day feature uses it."""
    seed: int = 0
    store: StoreSettings = StoreSettings()
    feed: FeedSettings = FeedSettings()
    serve: ServeSettings = ServeSettings()

    @property
    def artifacts(self) -> Path:
        """Folder of trained artifacts."""
        return self.workspace / "artifacts"

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store."""
        return self.store.url or f"sqlite:///{self.workspace / 'zhiliu.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags first, then the environment, then the file of the workspace."""
        workspace = Path(init_settings().get("workspace") or env_settings().get("workspace") or "zhiliu-data")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, workspace / "zhiliu.toml")


def load(workspace: Path | None = None) -> Settings:
    """Read the settings of a workspace.

    Raises:
        SettingsError: names each wrong key.

    """
    try:
        return Settings(workspace=workspace) if workspace is not None else Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"wrong setting in zhiliu.toml or ZHILIU_*: {wrong}") from None
    except ValueError as error:
        raise SettingsError(f"zhiliu.toml cannot be read: {error}") from None
