"""``python -m tests.gpu``: check that everything works on a GPU, and measure how fast it is."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mario_agents.bench.machine import machine_text
from mario_envkit.emulator import native
from tests.gpu.plan import chosen, plan
from tests.gpu.runner import ROOT, Result, Run

MINUTES, MINUTES_CPU = 6.0, 30.0
STYLES = {"ok": "green", "failed": "bold red", "hung": "bold red", "no time": "yellow"}


def main(words: Sequence[str] | None = None) -> int:
    """Make the checks; 0 if all of them are ok, 1 if not, 2 if they cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda (the default), cuda:1, cpu")
    parser.add_argument(
        "--minutes",
        type=float,
        help=f"for all of it; default {MINUTES:g}, on the CPU {MINUTES_CPU:g}",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME",
        help="checks whose name begins so, such as losses, run:ppo or learn; --list shows all",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="the JSON file")
    parser.add_argument("--list", action="store_true", help="show what would be checked")
    options = parser.parse_args(words)
    minutes = options.minutes or (MINUTES_CPU if options.device == "cpu" else MINUTES)
    checks = chosen(plan(), options.only)
    if options.list:
        print("\n".join(check.name for check in checks))
        return 0
    if refusal := _refusal(options.device, len(checks)):
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    console, begin = Console(), time.monotonic()
    console.print(f"{machine_text()}; {len(checks)} checks on {options.device}")
    columns = (
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(checks))

        def done(result: Result) -> None:
            console.print(f"{result.status:<8}{result.seconds:5.0f} s  {result.check.name}")
            bar.advance(task)

        run = Run(
            options.device, 60 * minutes, done,
            lambda names: bar.update(task, description=", ".join(names)),
        )  # fmt: skip
        results = run.run(checks)
    console.print(_table(results))
    document = _document(results, options.device, time.monotonic() - begin)
    options.out.write_text(json.dumps(document, indent=2) + "\n")
    bad = [result for result in results if result.status != "ok"]
    for result in bad:
        console.print(f"{result.check.name}: {result.said}", markup=False)
    console.print(f"{len(results) - len(bad)} of {len(results)} checks are ok; see {options.out}")
    return 1 if bad else 0


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


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, padding=(0, 1))
    for column in ("check", "", "seconds", "found"):
        table.add_column(
            column, overflow="fold", justify="right" if column == "seconds" else "left"
        )
    for result in results:
        status = f"[{STYLES[result.status]}]{result.status}"
        table.add_row(result.check.name, status, f"{result.seconds:.0f}", result.said)
    return table


def _document(results: Sequence[Result], device: str, seconds: float) -> dict[str, Any]:
    return {
        "machine": machine_text(),
        "device": device,
        "commit": _commit(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "seconds": round(seconds, 1),
        "checks": {
            result.check.name: {
                "status": result.status,
                "seconds": round(result.seconds, 1),
                "said": result.said,
                "alone": result.check.alone,
                "budget": round(result.check.budget, 1),
                "figures": result.figures,
                **({"log": result.log} if result.log else {}),
            }
            for result in results
        },
    }


def _commit() -> str:
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
