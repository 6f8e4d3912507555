"""``mario-agents zoo``: the trained agents that ship with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from rich import box
from rich.console import Console
from rich.table import Table

from mario_agents.commands.parsing import command_line
from mario_agents.evaluation.conditions import CONDITIONS
from mario_agents.run import RunDir
from mario_agents.run.records import read_standard
from mario_agents.zoo import AGENTS, PREFIX, names

FEW = 2
"""Levels that are named; of more it is said how many."""


@dataclass(frozen=True, kw_only=True)
class ZooOptions:
    """List the trained agents that ship with the package, with what the standard measured of them:
    percent of episodes that cleared the level, mean over levels. Every command that takes a run
    takes one of them: mario-agents watch zoo:NAME, eval, record, train TRAINER --init zoo:NAME."""


COMMAND_LINE = command_line("zoo", ZooOptions)


def main(words: Sequence[str]) -> None:
    """Print a table of the zoo."""
    COMMAND_LINE.parse(words)
    table = Table(title="cleared, %", box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False)
    table.add_column("agent", no_wrap=True)
    for heading in ("trainer", "levels"):
        table.add_column(heading)
    for condition in CONDITIONS:
        # In two lines all of them fit into 80 columns.
        table.add_column(condition.replace("-", "\n"), justify="right", no_wrap=True)
    for name in names():
        agent = RunDir.open(AGENTS / name)
        played = read_standard(agent.standard_path)
        rates = []
        for condition in CONDITIONS:
            each = [conditions.get(condition, ()) for conditions in played.values()]
            shares = [mean(e.success for e in episodes) for episodes in each if episodes]
            rates.append(f"{100 * mean(shares):.0f}" if shares else "-")
        levels = " ".join(played) if len(played) <= FEW else f"{len(played)} levels"
        table.add_row(f"{PREFIX}{name}", agent.trainer, levels, *rates)
    Console().print(table)
