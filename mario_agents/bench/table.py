"""A bench as a text: Markdown that can be read as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mario_agents.bench.plan import BenchPlan
from mario_agents.bench.rows import Difference, Numbers, Row, median_of
from mario_agents.evaluation.conditions import Condition
from mario_agents.experiments.markdown import grid
from mario_agents.experiments.measures import Clear

HEADINGS: dict[Condition, str] = {
    "greedy-plain": "greedy",
    "greedy-sticky": "sticky",
    "greedy-frames": "sticky frames",
    "sampled-plain": "sampled",
    "sampled-sticky": "sampled, sticky",
    "sampled-frames": "sampled, sticky frames",
}
"""Columns of success at the end."""
NEVER = "never"
UNKNOWN = "-"


def as_text(plan: BenchPlan, rows: Sequence[Row], pairs: Sequence[Difference]) -> str:
    """Everything: what was learned how fast, success at the end, the ablation, what is missing."""
    parts = [_speed(plan, rows), _success(plan, rows)]
    if pairs:
        parts.append(_pairs(pairs))
    parts += [text for text in (_missing(rows), _method(plan)) if text]
    return "\n\n".join(parts) + "\n"


def _speed(plan: BenchPlan, rows: Sequence[Row]) -> str:
    header = [*_VARIANT, "first clear: steps", "seconds", "with imports"]
    header += ["90 %: steps", "seconds", "with imports", "area", "steps", "steps/s"]
    header += ["last third: mean", "minimum"]
    reads: list[tuple[Callable[[Numbers], float | None], Callable[[float], str], bool]] = []
    for clear in (lambda n: n.first, lambda n: n.reliable):
        reads += [
            (_of(clear, "step"), _count, True),
            (_of(clear, "known"), _seconds, True),
            (_of(clear, "process_seconds"), _seconds, True),
        ]
    reads += [
        (lambda n: n.area, "{:.2f}".format, False),
        (lambda n: n.steps, _count, False),
        (lambda n: n.steps_per_second, _count, False),
        (lambda n: n.late_mean, _percent, False),
        (lambda n: n.late_min, _percent, False),
    ]
    lines = [
        [*_variant(row), *(_all(row, read, show, never=never) for read, show, never in reads)]
        for row in rows
    ]
    return f"Learning, {plan.budget}\n\n" + grid(header, lines)


def _success(plan: BenchPlan, rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        for weights in plan.weights:
            cells = [
                _all(row, _rate(weights, condition), _percent, never=False)
                for condition in HEADINGS
            ]
            lines.append([*_variant(row), weights, *cells])
    header = [*_VARIANT, "weights", *HEADINGS.values()]
    title = f"Success at the end, {plan.episodes} episodes for each condition"
    return f"{title}\n\n" + grid(header, lines)


def _pairs(pairs: Sequence[Difference]) -> str:
    header = ["preset", "level", "quantity", "on - off, each seed", "mean", "95 % interval"]
    header += ["better", "worse"]
    lines = []
    for pair in pairs:
        each = ", ".join(f"{seed}: {value:+.2f}" for seed, value in pair.by_seed.items())
        interval = f"{pair.low:+.2f} to {pair.high:+.2f}"
        numbers = [f"{pair.mean:+.2f}", interval, str(pair.better), str(pair.worse)]
        lines.append([pair.preset, pair.level, pair.quantity, each, *numbers])
    return "Snapshots on against off, same seed and budget\n\n" + grid(header, lines)


def _missing(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        for numbers in row.seeds:
            if numbers.status != "finished":
                what = " ".join([*_variant(row), f"seed {numbers.seed}"])
                why = f": {numbers.error}" if numbers.error else ""
                lines.append(f"- {what}: {numbers.status}{why}")
    return "Not in these numbers:\n\n" + "\n".join(lines) if lines else ""


def _method(plan: BenchPlan) -> str:
    axis = "seconds" if plan.budget.by_time else "agent steps"
    return f"""How it was measured: a cell has the median over the seeds, then each seed in order;
"{NEVER}" is later than any number, "{UNKNOWN}" is not known.
Machine: {plan.machine}; runs at once: {plan.jobs}.

- First clear: the first evaluation in training with any greedy success; 90 %: with at least that.
  Steps are those of the weights that did it. Seconds are wall-clock seconds of training until that
  evaluation was over; with imports they count from the start of the process.
- Budget left at first clear: share of it, from 0 (never cleared) to 1.
- Area: mean success with sticky actions over the budget in {axis}. An evaluation counts from when
  its weights were taken until those of the next were; before the first there is no success.
- Last third: greedy success of the weights as they were, in evaluations of the run's last third.
- Success at the end: the standard of mario-agents eval, from true starts only; best weights are
  those of the best evaluation in training. Sticky is drawn for each agent step, sticky frames for
  each frame, as in the Arcade Learning Environment."""


_VARIANT = ["preset", "level", "snapshots"]


def _variant(row: Row) -> list[str]:
    return [row.preset, row.level, snapshots_text(row.snapshots)]


def snapshots_text(snapshots: bool | None) -> str:
    """on, off, or that there is no such thing."""
    return UNKNOWN if snapshots is None else "on" if snapshots else "off"


def _of(clear: Callable[[Numbers], Clear | None], name: str) -> Callable[[Numbers], float | None]:
    def read(numbers: Numbers) -> float | None:
        found = clear(numbers)
        if found is None:
            return None if numbers.evaluations else math.nan
        value = getattr(found, name)
        return math.nan if value is None else float(value)

    return read


def _rate(weights: str, condition: Condition) -> Callable[[Numbers], float | None]:
    return lambda numbers: numbers.standard.get(weights, {}).get(condition)


def _all(
    row: Row,
    read: Callable[[Numbers], float | None],
    show: Callable[[float], str],
    *,
    never: bool,
) -> str:
    """The median, and every seed's own value; NaN is left out, and None unless it is "never"."""
    values = [read(numbers) for numbers in row.finished]
    values = [v for v in values if (never if v is None else not math.isnan(v))]
    if not values:
        return UNKNOWN
    middle = median_of(values)
    texts = [NEVER if value is None else show(value) for value in values]
    return texts[0] if len(values) == 1 else (
        f"{NEVER if middle is None else show(middle)} ({', '.join(texts)})"
    )  # fmt: skip


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _seconds(value: float) -> str:
    return f"{value:,.1f}"


def _percent(value: float) -> str:
    return f"{value:.0%}"
