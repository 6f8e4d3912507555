"""The dashboard's state as plain text, printed once."""

from __future__ import annotations

from mario_agents.monitor import draw, draw_learner
from mario_agents.monitor.state import Dashboard

WIDTH = 100
LOG_LINES = 5


def summary(state: Dashboard, *, living: bool, now: float) -> str:
    """The state as lines of text.

    Args:
        state: of a run.
        living: whether the run is being trained.
        now: Unix seconds.
    """
    head, rows = draw.workers(state, now, WIDTH)
    means = [f"{metric.label} {draw.short(state.value(metric))}" for metric in state.curve_metrics]
    lines = [
        draw.header(state, state.phase if living else "ended", now, WIDTH).plain,
        draw_learner.learner(state, now, WIDTH).plain,
        "  ".join(means),
        head.plain,
        rows.plain,
        *([draw.levels(state).plain] if len(state.rates) > 1 else []),
        draw.deaths(state, state.level, WIDTH).plain.rstrip("\n"),
        *(f"{line.source} {line.text}" for line in state.logs[-LOG_LINES:]),
    ]
    return "\n".join(line.rstrip() for text in lines for line in text.split("\n"))
