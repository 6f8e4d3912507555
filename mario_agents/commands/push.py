"""``mario-agents push``: send an exported agent to a model hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from mario_agents.commands.parsing import command_line


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """Send a directory that mario-agents export made to a model hub (needs the extra "hub"). Log in
    with 'hf auth login', or set HF_TOKEN."""

    agent: Annotated[Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """The directory."""
    repo: Annotated[Positional[str], tyro.conf.arg(metavar="OWNER/NAME")]
    """The repository, which is made if it is not there."""
    endpoint: str | None = None
    """Address of the hub; without it the Hugging Face Hub, or HF_ENDPOINT."""
    private: FlagCreatePairsOff[bool] = False
    """Make a new repository a private one."""


COMMAND_LINE = command_line("push", PushOptions)


def main(words: Sequence[str]) -> None:
    """Push an agent.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain.
    """
    options = COMMAND_LINE.parse(words)
    from mario_agents.publishing.hub import push

    where = push(options.agent, options.repo, endpoint=options.endpoint, private=options.private)
    print(f"It is at {where}; others get it with: mario-agents pull {options.repo}")
