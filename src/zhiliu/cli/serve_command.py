"""``zhiliu serve``: the API and the feed page."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from zhiliu.settings import ServeSettings, SettingsError, load


def command(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port (default 8000); 0 takes a free one.")
    ] = None,
) -> None:
    """Serve feeds over HTTP until SIGTERM; prints one line with the address when ready."""
    # One thread a product: a server scales by requests and processes, and numpy reads this when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from zhiliu.serve import logs  # here, so that `zhiliu --help` stays fast
    from zhiliu.serve.run import ServeError, serve
    from zhiliu.store import StoreError

    try:
        settings = load(context.obj["workspace"])
        flags = {"host": host, "port": port}
        given = {name: value for name, value in flags.items() if value is not None}
        section = ServeSettings.model_validate(settings.serve.model_dump() | given)
        settings = settings.model_copy(update={"serve": section})
        logs.configure()
        as_json = context.obj["json"]

        def ready(address: str) -> None:
            line = json.dumps({"address": address}) if as_json else f"Zhiliu 知流 answers at {address}"
            print(line, flush=True)

        serve(settings, ready)
    except (SettingsError, ServeError, StoreError) as error:
        typer.echo(f"zhiliu serve: {error}", err=True)
        raise typer.Exit(1) from None
