"""The table of commands, and from the words of a command line to the command.

A command is the module of its name in this package. It is imported when it is named, so that the
list of commands waits for none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from mario_agents.commands.parsing import CommandLine, show_choices
from mario_envkit.plugins import load_trainer

DESCRIPTION = """Train agents on Super Mario Bros, and see what they learned. For example:
    mario-agents presets                               what there is, and what it learned
    mario-agents train ppo --preset tiles-cpu          a run in runs/ppo-1-1-TIME
    mario-agents train ppo --level 1-2 --workers 2     options instead, or as well
    mario-agents watch runs/ppo-1-1-TIME               see it play
    mario-agents eval runs/ppo-1-1-TIME                measure it

Every command explains itself: mario-agents train --help, mario-agents train ppo --help."""

COMMANDS = {
    "train": "Train an agent, or continue a run: mario-agents train NAME [options].",
    "bench": "Measure what trainers learn in a budget: mario-agents bench learn [options].",
    "sweep": "Search for better options of a trainer: mario-agents sweep TRAINER/PRESET [options].",
    "eval": "Measure a run, or any agent, by one standard: greedy and sampled, plain and sticky.",
    "leaderboard": "Put results of eval into tables: by track, the best first.",
    "watch": "Show the agent of a run, in a window or in the terminal.",
    "record": "Write a video (MP4) of the agent of a run.",
    "demonstrate": "Save episodes of the agent of a run for others to imitate.",
    "report": "Write one HTML file about runs: curves, maps with all deaths, success, videos.",
    "plot": "Draw metrics of runs over agent steps, for papers.",
    "monitor": "Show a run that is being trained, or was, in a dashboard.",
    "export": "Copy what others need of a run to a directory: weights, measurements, film, page.",
    "push": "Send an exported agent to a model hub.",
    "pull": "Fetch an agent from a model hub.",
    "zoo": "List the trained agents that ship with the package: watch zoo:NAME.",
    "trainers": "List the installed trainers.",
    "presets": "List the presets of the trainers, with what each was measured to do.",
}


def dispatch(words: Sequence[str]) -> None:
    """Run one command.

    Args:
        words: its name, and its own words.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain.
        SystemExit: with status 2 for a malformed command line, 0 after ``--help``.
    """
    if not words or words[0] not in COMMANDS:
        show_choices("mario-agents", COMMANDS, DESCRIPTION, words)
    _module(words[0]).main(words[1:])


def command_line(name: str, trainer: str = "ppo") -> CommandLine[Any]:
    """What a command parses its words with.

    Args:
        name: one of :data:`COMMANDS`.
        trainer: the trainer whose options ``train`` takes.
    """
    module = _module(name)
    line: CommandLine[Any] = (
        module.command_line(trainer, load_trainer(trainer))
        if name == "train"
        else module.COMMAND_LINE
    )
    return line


def _module(name: str) -> Any:
    return import_module(f"mario_agents.commands.{name}")
