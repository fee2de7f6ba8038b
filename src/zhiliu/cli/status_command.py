"""``zhiliu status``: what the workspace holds."""

from __future__ import annotations

import typer


def command(context: typer.Context) -> int:
    """Count events, people, videos and decisions, and name the newest model."""
    from zhiliu.cli.workspace import newest_artifact, settings_of, store_of, tell

    settings = settings_of(context)
    with store_of(settings) as store:
        counts = store.counts()
    result = {
        **{name: counts[name] for name in ("events", "people", "videos", "decisions")},
        "model": newest_artifact(settings.artifacts),
    }
    text = (
        f"events 事件      {result['events']:>12,}\n"
        f"people 用户      {result['people']:>12,}\n"
        f"videos 视频      {result['videos']:>12,}\n"
        f"decisions 决策   {result['decisions']:>12,}\n"
        f"model 模型       {result['model'] or 'none yet 尚无: zhiliu train'}"
    )
    tell(context, result, text)
    return 0
