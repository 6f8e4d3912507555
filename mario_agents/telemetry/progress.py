"""Progress displays of training: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from mario_agents.telemetry.rate import Rate

LINE_SECONDS = 10.0


def error_console() -> Console:
    """The standard error stream; a terminal only if it is one.

    Rich believes FORCE_COLOR, which notebooks set, and would draw bars into files.
    """
    return Console(stderr=True, force_terminal=sys.stderr.isatty())


class Display(Protocol):
    """Shows how far a run is, between entering and leaving it as a context."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, step: int, **values: float) -> None:
        """Tell the agent steps so far, and values to show; see :class:`TrainingProgress`."""


class TrainingProgress:
    """Shows how far a run is, with steps/s and whatever values the trainer gives.

    Use it as a context manager and call :meth:`update` as often as you like.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        initial_step: int = 0,
        enabled: bool = True,
        console: Console | None = None,
    ) -> None:
        """Prepare the display; nothing is shown before the context is entered.

        Args:
            total_steps: budget in agent steps.
            initial_step: agent steps already made when the run was resumed.
            enabled: False shows nothing.
            console: where to; default is the standard error stream.
        """
        self._console = console or error_console()
        self._enabled = enabled
        self._total = total_steps
        self._values: dict[str, float] = {}
        self._step = initial_step
        self._rate = Rate(initial_step, clock=time.monotonic)
        self._next_line = time.monotonic()
        self._bar: Progress | None = None
        if enabled and self._console.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=20),
                TaskProgressColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.description}", markup=False),
                console=self._console,
            )
            self._task = self._bar.add_task("", total=total_steps, completed=initial_step)

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._enabled and self._values:
            self._print_line()

    @property
    def steps_per_second(self) -> float:
        """Agent steps per second over the last ten seconds; NaN before there are two updates."""
        return self._rate.per_second

    def update(self, step: int, **values: float) -> None:
        """Tell the agent steps so far and any values (``best_x``, ``epsilon``, ``loss``...).

        A value stays on display until it is given again.
        """
        now = time.monotonic()
        self._step = step
        self._rate.update(step)
        self._values.update(values)
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=self._text())
        elif self._enabled and now >= self._next_line:
            self._next_line = now + LINE_SECONDS
            self._print_line()

    def _print_line(self) -> None:
        self._console.print(
            f"step {self._step}/{self._total}  {self._text()}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def _text(self) -> str:
        parts = [f"{_number(self.steps_per_second)} steps/s"]
        parts += [f"{name} {_number(value)}" for name, value in self._values.items()]
        return "  ".join(parts)


class OpenDisplay(Protocol):
    """Makes a display for the run in ``run_path``; the other arguments are those of
    :class:`TrainingProgress`."""

    def __call__(
        self, run_path: Path, total_steps: int, *, initial_step: int, enabled: bool
    ) -> Display: ...


def _plain(run_path: Path, total_steps: int, *, initial_step: int, enabled: bool) -> Display:
    return TrainingProgress(total_steps, initial_step=initial_step, enabled=enabled)


_opener: ContextVar[OpenDisplay] = ContextVar("_opener", default=_plain)


def open_display(run_path: Path, total_steps: int, *, initial_step: int, enabled: bool) -> Display:
    """What shows a run: a :class:`TrainingProgress`, unless :func:`displayed_by` says otherwise."""
    return _opener.get()(run_path, total_steps, initial_step=initial_step, enabled=enabled)


@contextmanager
def displayed_by(opener: OpenDisplay) -> Iterator[None]:
    """Let runs that begin in this context be shown by something else."""
    token = _opener.set(opener)
    try:
        yield
    finally:
        _opener.reset(token)


def _number(value: float) -> str:
    """Three significant digits, whole numbers in full."""
    if math.isnan(value):
        return "-"
    if math.isinf(value) or (value != int(value) and abs(value) < 1000):
        return f"{value:.3g}"
    return f"{value:.0f}"
