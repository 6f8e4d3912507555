"""Renders what the dashboard says of the owner of the weights: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.text import Text

from mario_agents.monitor.draw import NODE, age, short
from mario_agents.monitor.state import Dashboard, clean
from mario_agents.telemetry import EVAL_METRICS, TIME_SHARES, MetricDef

_DIM = "dim"
_LEARNER = ("updates_per_second", "lr", "staleness", "stale")
_FED = ("updates_per_second", "lr", "lag", "samples_per_insert", "waiting")
"""Metrics of the owner of the weights in the line about it, and of one that workers feed."""
_TITLE = 21
"""Cells of a panel's title."""


def learner(state: Dashboard, now: float, width: int, *, panels: int = 0) -> Text:
    """The owner of the weights, what the algorithm and evaluations measure, and where the time of
    the workers goes: four lines, or more if there is room for the algorithm's panels.

    Args:
        state: of the run.
        now: Unix seconds.
        width: cells of a line.
        panels: lines that there are for panels; 0 puts what the algorithm measures into one line.
    """
    measured = [(metric, state.value(metric)) for metric in state.algorithm_metrics]
    measured.append((state.metrics.find("grad_norm"), state.of_learner("grad_norm")))
    measured = [(metric, value) for metric, value in measured if not math.isnan(value)]
    lines = [_pairs(_owner(state, now))]
    rest = _labelled(evaluations(state))
    if panels:
        lines += _panels(measured)[:panels]
    else:
        pairs = _labelled(measured)
        fitting = _fitting(pairs, width)
        lines.append(_pairs(pairs[:fitting]))
        # What does not fit in a line goes on in the next, the last (the gradients) first, as far
        # as there is room.
        rest += pairs[fitting:][-1:] + pairs[fitting:-1]
        rest = rest[: _fitting(rest, width)]
    lines.append(_pairs(rest) if rest else Text("no evaluation yet", _DIM))
    shares = [(name, f"{share:.0%}") for name, share in time_shares(state).items()]
    lines.append(Text("time  ", _DIM).append_text(_pairs(shares)))
    return Text("\n").join(lines)


def _owner(state: Dashboard, now: float) -> list[tuple[str, str]]:
    """What is to be said of the owner of the weights."""
    status, heartbeat = state.learner, state.learner_heartbeat
    if status is None:
        return []
    pairs = [("learner", f"v{status.version}")]
    names = _LEARNER if math.isnan(state.of_learner("inserted")) else _FED
    pairs += _labelled([(state.metrics.find(name), state.of_learner(name)) for name in names])
    if heartbeat is not None and status.state != "stopped":
        if heartbeat.node:
            pairs.append(("on", clean(heartbeat.node)[-NODE:]))
        pairs.append(("beat", age(heartbeat.age + max(now - state.learner_heartbeat_time, 0.0))))
    return pairs


def _panels(measured: list[tuple[MetricDef, float]]) -> list[Text]:
    """A line for each panel: its title, and the metrics in it."""
    panels: dict[str, list[tuple[MetricDef, float]]] = {}
    for metric, value in measured:
        panels.setdefault(metric.panel or metric.label, []).append((metric, value))
    return [
        Text(f"{clean(title, _TITLE):<{_TITLE}} ", "bold").append_text(_pairs(_labelled(group)))
        for title, group in panels.items()
    ]


def _labelled(measured: Iterable[tuple[MetricDef, float]]) -> list[tuple[str, str]]:
    return [(metric.label, short(value)) for metric, value in measured]


def _fitting(pairs: list[tuple[str, str]], width: int) -> int:
    """How many pairs a line has room for, at least one."""
    count = len(pairs)
    while count > 1 and _pairs(pairs[:count]).cell_len > width:
        count -= 1
    return count


def time_shares(state: Dashboard) -> dict[str, float]:
    """What the time of the workers goes into, as shares of it; empty before that is known."""
    shares = {metric.label: state.value(metric) for metric in TIME_SHARES}
    # Whatever came from other processes: only sane numbers add up to a rest.
    if not all(0.0 <= share <= 1.0 for share in shares.values()):
        return {}
    return {**shares, "other": max(1.0 - math.fsum(shares.values()), 0.0)}


def evaluations(state: Dashboard) -> list[tuple[MetricDef, float]]:
    """The latest evaluation during training, if there was one."""
    found = [(metric, state.of_learner(metric.name)) for metric in EVAL_METRICS]
    return [(metric, value) for metric, value in found if not math.isnan(value)]


def _pairs(pairs: list[tuple[str, str]]) -> Text:
    text = Text("" if pairs else "-", _DIM)
    for index, (label, value) in enumerate(pairs):
        text.append("  " if index else "")
        text.append(f"{clean(label, 24)} ", _DIM)
        text.append(value, "not dim")
    return text
