"""Trained agents that ship with the package: ``zoo:NAME`` stands for the directory of one.

Each is what ``mario-agents export`` makes: a run directory with configuration, weights and what the
standard measured, which every command takes that takes a run.
"""

from __future__ import annotations

from pathlib import Path

from mario_envkit.arguments import most_similar
from mario_envkit.errors import RunError

PREFIX = "zoo:"
AGENTS = Path(__file__).parent / "agents"


def names() -> list[str]:
    """All agents."""
    return sorted(path.parent.name for path in AGENTS.glob("*/config.json"))


def located(path: Path) -> Path:
    """The directory of the agent that "zoo:NAME" names; any other path as it is.

    Raises:
        RunError: if there is no such agent.
    """
    text = str(path)
    if not text.startswith(PREFIX):
        return path
    name = text.removeprefix(PREFIX)
    if name in names():
        return AGENTS / name
    similar = most_similar(name, names())
    hint = f"did you mean '{PREFIX}{similar}'?" if similar else "'mario-agents zoo' lists them."
    raise RunError(f"There is no agent {text!r} in the zoo; {hint}")


def is_shipped(path: Path) -> bool:
    """Whether ``path`` is in the zoo, where nothing else is to be written."""
    return path.resolve().is_relative_to(AGENTS.resolve())
