"""Renders the dashboard's state as styled text: pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from mario_agents.evaluation.spread import Spread
from mario_agents.monitor.state import BUCKET, Dashboard, LogLine, Worker, clean, severity

SILENT_SECONDS = 5.0
"""A worker that has not beaten for longer is worth a look."""
NODE = 15
"""Cells for the name of a machine: those of an address."""

_DIM, _GOOD, _WARN, _BAD = "dim", "green", "yellow", "bold red"
_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEAT = ("#7a6a2a", "#b8912f", "#e0a030", "#ee7a28", "#f0502a", "#ff2a2a")
"""From a few deaths to the most."""


def short(value: float, room: int = 7) -> str:
    """A number with three digits that count, or as many as there is room for; below 1e-9 it is 0.

    What does not fit at all is "…": nothing is cut off that would make it another number.
    """
    for digits in (3, 2, 1):
        text = _with_digits(value, digits, thousands=room >= 4)
        if len(text) <= room and (text != "0" or abs(value) < 1e-9):
            return text
    return "…"


def _with_digits(value: float, digits: int, *, thousands: bool) -> str:
    if math.isnan(value):
        return "-"
    size = abs(value)
    if math.isinf(value) or size >= 1e15:
        return "inf" if value > 0 else "-inf"
    if size < 1e-9:
        return "0"
    if size < 10_000 and (thousands if size >= 999.5 else value == int(value)):
        return f"{value:.0f}"
    if size < 0.01:
        return f"{value:.{min(digits - 1, 1)}e}".replace("e-0", "e-")
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (0.0, "")):
        if size >= limit * 0.9995:  # what rounds to 1000 is 1 of the next
            scaled = value / (limit or 1.0)
            whole = len(f"{abs(scaled):.0f}") if abs(scaled) >= 1 else 0
            text = f"{scaled:.{max(digits - whole, 0)}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + unit
    raise AssertionError(value)


def clock(seconds: float) -> str:
    """A duration as ``h:mm:ss`` or ``mm:ss``."""
    if not math.isfinite(seconds) or seconds < 0 or seconds > 1e7:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def age(seconds: float) -> str:
    """How long ago something was, in four characters."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 9.95:
        return f"{max(seconds, 0.0) + 0.0:.1f}s"  # no -0.0
    for unit, length in (("s", 1.0), ("m", 60.0)):
        if seconds < 999.5 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{min(seconds / 3600, 999):.0f}h"


def header(state: Dashboard, condition: str, now: float, width: int) -> Text:
    """Name, condition, progress, speed and the time that is left, in one line."""
    speeds = (
        worker.number("steps_per_second")
        for worker in state.workers.values()
        if worker.status is not None and worker.status.state == "running"
    )
    speed = math.fsum(speed for speed in speeds if math.isfinite(speed))
    total = state.total_steps
    parts = [f"{short(state.step)}/{short(total)} steps" if total else f"{short(state.step)} steps"]
    if speed > 0:
        parts.append(f"{short(speed)}/s")
        # Whichever comes first: the end of the steps, or that of the time.
        left = [(total - state.step) / speed] if total > state.step else []
        if math.isfinite(state.deadline):
            left.append(max(state.deadline - now, 0.0))
        if left:
            parts.append(f"{clock(min(left))} left")
    tail = "  ".join(parts)
    style = {"running": _GOOD, "ended": _DIM, "paused": _WARN}.get(condition, _WARN)
    # What room is left is the title's.
    bar_width = max(min(width // 5, 30), 8) if total else 0
    room = max(width - len(tail) - len(condition) - bar_width - 7, 4)
    title = state.title if len(state.title) <= room else state.title[: room - 1] + "…"
    text = Text.assemble((title, "bold"), "  ", (condition, style), "  ")
    if total:
        share = min(max(state.step / total, 0.0), 1.0)
        filled = round(share * bar_width)
        text.append("━" * filled, _GOOD)
        text.append("━" * (bar_width - filled), _DIM)
        text.append("  ")
    return text.append(tail)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of workers; a cell gets the worker, the time, and its width."""

    title: str
    width: int
    cell: Callable[[Worker, float, int], str]


def _number(name: str) -> Callable[[Worker, float, int], str]:
    return lambda worker, now, width: short(worker.number(name), width)


def snapshot_usage(worker: Worker, width: int) -> str:
    """Saves, restores, and restores in a row without progress of so many, in so many cells."""
    most = worker.status.max_stuck if worker.status else 0
    saves, restores = (worker.number(name) for name in ("saves", "restores"))
    if not (most or saves > 0 or restores > 0):
        return "-"
    stuck = f"({short(worker.number('stuck') if most else 0)}/{short(most)})"
    for room, last in ((7, stuck), (4, stuck), (4, "")):
        text = f"💾={short(saves, room)} ⏮={short(restores, room)}{last}"
        if cell_len(text) <= width:
            break
    return text


COLUMNS = (
    Column("steps", 5, _number("steps")),
    Column("/s", 4, _number("steps_per_second")),
    Column("ep.", 4, _number("episodes")),
    Column("return", 6, _number("reward")),
    Column("max x", 5, lambda worker, now, width: short(worker.best_x, width)),
    Column("died", 4, _number("deaths")),
    Column("flags", 5, _number("flags")),
    Column("grads", 5, _number("packets")),
    Column("beat", 4, lambda worker, now, width: age(worker.age(now))),
)
_OWN, _OWN_WIDTH = 4, 4
"""Before which column that of the algorithm is, and its cells."""


def columns(state: Dashboard) -> tuple[Column, ...]:
    """The columns of the table: those of every run, the algorithm's second headline, and, of a run
    on several machines, where a worker is."""
    own = [
        Column(clean(metric.label, _OWN_WIDTH), _OWN_WIDTH, _number(metric.name))
        for metric in state.headlines[1:2]
    ]
    longest = max((len(_node(worker)) for worker in state.workers.values()), default=0)
    nodes = [Column("node", max(longest, 4), lambda worker, now, width: _node(worker))]
    return (*COLUMNS[:_OWN], *own, *COLUMNS[_OWN:], *(nodes if longest else []))


def _node(worker: Worker) -> str:
    """The end of the name of the machine that a worker is on; empty in a run on one machine."""
    return clean(worker.heartbeat.node)[-NODE:] if worker.heartbeat else ""


_LAST, _LAST_WIDTH = "💾 ⏮(stuck/max)", 19
_NAME = 3
"""A mark and two digits."""


def workers(state: Dashboard, now: float, width: int) -> tuple[Text, Text]:
    """The table of workers: its head and its rows, as wide as ``width`` allows."""
    shown = columns(state)
    needed = _NAME + sum(column.width for column in shown) + len(shown) + 1 + _LAST_WIDTH
    gap = " " * (1 + min(max(width - needed, 0) // (len(shown) + 1), 3))
    head = Text("".ljust(_NAME), "bold")
    for column in shown:
        head.append(gap + column.title.rjust(column.width))
    head.append(gap + _LAST)
    rows = [_row(worker, now, gap, shown, width) for worker in state.workers.values()]
    empty = Text("no worker has been heard of yet", _DIM)
    body = Text("\n").join(rows or [empty])
    return head, body


def _row(worker: Worker, now: float, gap: str, shown: tuple[Column, ...], width: int) -> Text:
    mark, style = _mark(worker, now)
    label = worker.name.removeprefix("worker_")[-(_NAME - 1) :]
    row = Text()
    row.append(mark, style)
    row.append(label.rjust(_NAME - 1), "bold")
    if worker.gone:
        restarts = worker.heartbeat.restarts + 1 if worker.heartbeat else 1
        row.append(f"{gap}gone; to be replaced for the {_ordinal(restarts)} time", _BAD)
        return row
    beat_style = _BAD if worker.age(now) > SILENT_SECONDS else ""
    for column in shown:
        text = column.cell(worker, now, column.width).rjust(column.width)
        row.append(gap + text, beat_style if column.title == "beat" else "")
    restarts = worker.heartbeat.restarts if worker.heartbeat is not None else 0
    replaced = f" ↻{short(restarts)}" if restarts > 0 else ""
    row.append(gap)
    row.append(snapshot_usage(worker, width - row.cell_len - cell_len(replaced)))
    row.append(replaced, _WARN)
    return row


def _mark(worker: Worker, now: float) -> tuple[str, str]:
    if worker.gone:
        return "✖", _BAD
    if worker.stopped:
        return "■", _DIM
    if worker.status is None or worker.status.state == "starting":
        return "○", _WARN
    return ("●", _BAD) if worker.age(now) > SILENT_SECONDS else ("●", _GOOD)


def _ordinal(number: int) -> str:
    tens = number % 100 // 10
    suffix = "th" if tens == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def deaths(state: Dashboard, level: str, width: int) -> Text:
    """Where Mario dies in ``level``: a line of figures, and the level as a strip of heat."""
    buckets = state.deaths.get(level, {})
    head = Text()
    head.append(f"deaths {level or '-'}", "bold")
    if not buckets:
        head.append("  none" if level else "  none yet", _DIM)
        return head.append("\n")
    worst = max(buckets, key=lambda x: (buckets[x], -x))
    head.append(f"  {short(sum(buckets.values()))} in all, most at x {worst} ")
    head.append(f"({short(buckets[worst])})")
    end = max(buckets) + BUCKET
    right = f"x 0 to {end}"
    head.append(right.rjust(max(width - head.cell_len, len(right) + 2)), _DIM)
    return head.append("\n").append_text(heat(buckets, end, width))


def levels(state: Dashboard) -> Text:
    """How often levels are completed lately: a line of figures, and a bar for each level."""
    rates = {level: rate.recent for level, rate in sorted(state.rates.items())}
    if len(rates) < 2:
        return Text()
    spread = Spread.of(rates)
    text = Text.assemble(
        (f"levels {len(rates)}", "bold"),
        f"  success lately {spread.mean:.0%}, worst tenth {spread.worst_tenth:.0%}, worst ",
        f"{spread.worst_level} {spread.worst:.0%}\n",
    )
    world = None
    for level, rate in rates.items():
        before, world = world, level.partition("-")[0]
        if world != before:
            text.append(f"{world} " if before is None else f"  {world} ", _DIM)
        text.append(_BLOCKS[max(round(rate * 8), 1)], _rated(rate))
    return text


def _rated(rate: float) -> str:
    if rate >= 0.9:
        return _GOOD
    return _WARN if rate >= 0.5 else _BAD


def heat(buckets: Mapping[int, int], end: int, width: int) -> Text:
    """Counts by left end of a bucket of ``[0, end)`` pixels as ``width`` cells: the more the higher
    and the hotter, so that colour is not needed to read it. ``end`` is an end of a bucket."""
    width = max(width, 1)
    cells = [0] * width
    if width * BUCKET > end:  # a cell is a part of a bucket
        middles = ((2 * cell + 1) * end // (2 * width) for cell in range(width))
        cells = [buckets.get(x // BUCKET * BUCKET, 0) for x in middles]
    else:
        for x, count in buckets.items():
            cells[(x + BUCKET // 2) * width // end] += count
    top = max(cells)
    text = Text()
    for count in cells:
        if count == 0:
            text.append("·", _DIM)
        else:
            # The square root: one terrible place does not hide all the others.
            share = math.sqrt(count / top)
            colour = _HEAT[min(int(share * len(_HEAT)), len(_HEAT) - 1)]
            text.append(_BLOCKS[max(round(share * 8), 1)], colour)
    return text


def log_line(line: LogLine, clock_text: str) -> Text:
    """A line of the log, with the time as text."""
    style = {"info": "", "warning": _WARN, "error": _BAD}[severity(line.level)]
    return Text.assemble(
        (clock_text, _DIM), " ", (line.source, "bold"), " ", (line.text, style), overflow="fold"
    )
