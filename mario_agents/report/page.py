"""Builds the report: one HTML file without external resources."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mario_agents.evaluation.spread import Spread
from mario_agents.report.figures import Figured, Series, bars, curves
from mario_agents.report.levels import BARS, NUMBERS, scenes
from mario_agents.report.rundata import RunData
from mario_agents.report.success import evaluation_series, level_success, stage_series, success_bars
from mario_agents.run.records import VideoRecord
from mario_agents.telemetry import MetricDef

FOLDER = Path(__file__).parent
MOST_VIDEO_BYTES = 16 << 20
"""A larger video is named instead of being part of the page."""


@dataclass(frozen=True)
class Video:
    """A video for the page: ``url`` is empty if it is too large, and ``problem`` says so."""

    run: str
    url: str
    path: Path
    caption: str
    problem: str = ""


def build_page(runs: Sequence[RunData]) -> str:
    """The report of some runs as HTML.

    Args:
        runs: one or more, with names of their own.
    """
    success = [row for run in runs for row in level_success(run)]
    return render(
        FOLDER / "page.html.j2",
        title=runs[0].name if len(runs) == 1 else f"{len(runs)} runs",
        runs=runs,
        made=time.strftime("%Y-%m-%d %H:%M"),
        summary=[_summary(run) for run in runs],
        practised=[_practised(run) for run in runs if len(run.rates) > 1],
        times=[(color, run) for color, run in enumerate(runs) if run.time_shares],
        options=_options(runs),
        figures=_learning(runs),
        success=success,
        success_figure=_success_figure(success, runs),
        scenes=scenes(runs),
        bars=BARS,
        numbers=NUMBERS,
        videos=[_video(run, *run.best_video) for run in runs if run.best_video],
        dreams=[_dream(run, *run.last_dream) for run in runs if run.last_dream],
    )


def render(template: Path, **values: Any) -> str:
    """A page that looks as the report does.

    Args:
        template: extends ``base.html.j2``, which lies beside this module.
        values: what it is filled with.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, duration=_duration)
    style = Markup((FOLDER / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(template.name).render(style=style, **values)


def _summary(run: RunData) -> dict[str, Any]:
    best = run.curve("best_x").values
    evaluated = [(sum(p.success for p in e.plain) / len(e.plain)) for e in run.evaluations]
    return {
        "name": run.name,
        "trainer": run.trainer or "unknown",
        "level": str(run.options.get("level", "unknown")),
        "seed": str(run.options.get("seed", "unknown")),
        "steps": run.steps,
        "seconds": run.seconds,
        "episodes": run.total("episodes"),
        "deaths": run.total("deaths"),
        "flags": run.total("flags"),
        "best_x": float(best.max()) if best.size else math.nan,
        "success": _last(run, "success"),
        "evaluated": max(evaluated, default=math.nan),
    }


def _practised(run: RunData) -> dict[str, Any]:
    """How often each of several levels was completed while a run trained."""
    rates = dict(sorted(run.rates.items()))
    spread = Spread.of({level: rate.recent for level, rate in rates.items()})
    return {"run": run.name, "rates": rates, "spread": spread}


def _last(run: RunData, name: str) -> float:
    values = run.curve(name).values
    return float(values[-1]) if values.size else math.nan


def _options(runs: Sequence[RunData]) -> list[tuple[str, list[str], bool]]:
    """Name, value in each run, and whether they differ; those that differ come first."""
    rows = []
    for name in dict.fromkeys(name for run in runs for name in run.options):
        values = [_option(run.options, name) for run in runs]
        rows.append((name, values, len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row[2])


def _option(options: dict[str, Any], name: str) -> str:
    if name not in options:
        return "–"  # noqa: RUF001
    value = options[name]
    return value if isinstance(value, str) else json.dumps(value)


def _learning(runs: Sequence[RunData]) -> list[Figured]:
    figures = []
    several = len(runs) > 1
    evaluated = [
        series
        for color, run in enumerate(runs)
        for series in evaluation_series(run, color, several=several)
    ]
    if evaluated:
        title = "Success in evaluations"
        label = "share of episodes at the flag"
        figures.append(curves("evaluations", title, label, evaluated, share=True))
    stages = [
        series
        for color, run in enumerate(runs)
        for series in stage_series(run, color, several=several)
    ]
    if stages:
        title, label = "Stages cleared in evaluations", "mean of a game"
        figures.append(curves("stages", title, label, stages))
    return figures + _panels(runs)


def _panels(runs: Sequence[RunData]) -> list[Figured]:
    """A figure for each panel of the runs' metrics."""
    panels: dict[str, dict[str, MetricDef]] = {}
    for run in runs:
        for title, metrics in run.metrics.panels(run.measured).items():
            panels.setdefault(title, {}).update({metric.name: metric for metric in metrics})
    figures = []
    for number, (title, found) in enumerate(panels.items()):
        metrics = [*found.values()]
        series = _panel_series(runs, metrics)
        if series:
            label = metrics[0].help if len(metrics) == 1 else ", ".join(m.label for m in metrics)
            share = all(metric.share for metric in metrics)
            figures.append(curves(f"panel-{number}", title, label, series, share=share))
    return figures


def _panel_series(runs: Sequence[RunData], metrics: Sequence[MetricDef]) -> list[Series]:
    """Each metric of each run: a run has its colour, and of one run each metric."""
    series = []
    for number, run in enumerate(runs):
        for dashes, metric in enumerate(metrics):
            curve = run.curve(metric.name)
            if not len(curve):
                continue
            if len(metrics) == 1:
                series.append(Series(run.name, curve, number, dashes=number))
            elif len(runs) == 1:
                series.append(Series(metric.label, curve, dashes, dashes))
            else:
                series.append(Series(f"{run.name}, {metric.label}", curve, number, dashes))
    return series


def _success_figure(success: Sequence[Any], runs: Sequence[RunData]) -> Figured | None:
    if not success:
        return None
    title = "Success per level, with 95 % intervals"
    names = [run.name for run in runs]
    return bars("success-per-level", title, "share of episodes at the flag",
                success_bars(success, names))  # fmt: skip


def _video(run: RunData, path: Path, record: VideoRecord) -> Video:
    episode = record.episode
    why = ", ".join(record.occasions) or "video"
    caption = (
        f"{run.name} after {record.step:,} agent steps ({why}): level "
        f"{episode.level}, {episode.outcome}, farthest x {episode.best_x}, "
        f"return {episode.reward:.1f}, {episode.steps} agent steps."
    )
    return _embedded(run, path, caption)


def _dream(run: RunData, path: Path, record: VideoRecord) -> Video:
    episode = record.episode
    caption = (
        f"{run.name} after {record.step:,} agent steps, level {episode.level}, {episode.outcome}: "
        "the game; the observation as the world model sees it; as it expected it, looking at one "
        f"of {record.ahead}; and the difference of that from what came. Below, rewards of the last "
        "steps: real ones upwards, imagined ones downwards, negative ones in red."
    )
    return _embedded(run, path, caption)


def _embedded(run: RunData, path: Path, caption: str) -> Video:
    try:
        size = path.stat().st_size
        if size > MOST_VIDEO_BYTES:
            problem = f"The video is too large ({size >> 20} MB) to be part of this file: {path}"
            return Video(run.name, "", path, caption, problem)
        raw = path.read_bytes()
    except OSError as error:
        problem = f"The video {path} cannot be read: {error.strerror}."
        return Video(run.name, "", path, caption, problem)
    return Video(run.name, "data:video/mp4;base64," + base64.b64encode(raw).decode(), path, caption)


def _number(value: float, form: str = ",.0f") -> str:
    """A number as people write it; nothing known is a dash."""
    return "–" if math.isnan(value) else format(value, form)  # noqa: RUF001


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"  # noqa: RUF001
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
