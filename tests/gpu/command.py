"""What ``python -m tests.gpu`` does, once its words are understood."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mario_agents.experiments.machine import machine_text
from mario_envkit.emulator import native
from tests.gpu.host import Result
from tests.gpu.plan import Machine, chosen, plan, seconds_for
from tests.gpu.report import Report
from tests.gpu.runner import Run

CLOSING = 3.0
"""Seconds that the table needs, and the end of processes."""


def show(device: str, only: Sequence[str]) -> int:
    """List checks with their budgets, and what they take together."""
    machine, checks = Machine.here(device), chosen(plan(), only)
    for check in checks:
        print(f"{machine.planned(check).seconds:5.1f} s  {check.name}")
    print(f"{seconds_for(checks, machine):5.0f} s  together, with {machine.cores} cores")
    return 0


def check(device: str, only: Sequence[str], out: Path, begin: float, minutes: float) -> int:
    """Make the checks, from the time ``begin`` on; returns the exit status."""
    checks = chosen(plan(), only)
    if refusal := _refusal(device, len(checks)):
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    console, machine = Console(), Machine.here(device)
    report = Report(out, checks, machine, begin, minutes)
    console.print(
        f"{machine_text()}; {len(checks)} checks on {device}, for which "
        f"{seconds_for(checks, machine):.0f} s are planned, and {60 * minutes:.0f} s allowed"
    )
    columns = (
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(checks))

        def done(result: Result) -> None:
            report.add(result)
            console.print(f"{result.status:<8}{result.seconds:5.0f} s  {result.check.name}")
            bar.advance(task)

        run = Run(
            machine, begin + 60 * minutes - CLOSING, done,
            lambda names: bar.update(task, description=", ".join(names)),
        )  # fmt: skip
        with suppress(KeyboardInterrupt):  # what there is by then is shown all the same
            run.run(checks)
    console.print(report.table())
    bad = [result for result in report.results if result.status != "ok"]
    for result in bad:
        console.print(f"{result.check.name}: {result.said}", markup=False)
    good = len(report.results) - len(bad)
    console.print(
        f"{good} of {len(checks)} checks are ok, after {time.monotonic() - begin:.0f} s; see {out}"
    )
    return 0 if good == len(checks) else 1


def _refusal(device: str, checks: int) -> str:
    """Why nothing can be checked, or nothing."""
    if not checks:
        return "no check has such a name; python -m tests.gpu --list shows them"
    if not native.is_available():
        return "the native console is not built; install the checkout first: pip install -e ."
    if device.startswith("cuda") and not torch.cuda.is_available():
        return (
            f"torch {torch.__version__} finds no CUDA device here; --device cpu makes the same "
            "checks on the CPU"
        )
    return ""
