"""``mario-agents pull``: fetch an agent from a model hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from mario_agents.commands.parsing import command_line
from mario_envkit.command_line import shell_words


@dataclass(frozen=True, kw_only=True)
class PullOptions:
    """Fetch an agent that mario-agents push has sent to a model hub (needs the extra "hub").
    Configuration, weights, measurements and films are fetched, and nothing that could run."""

    repo: Annotated[Positional[str], tyro.conf.arg(metavar="OWNER/NAME")]
    """The repository."""
    out: Path | None = None
    """The directory, new or empty; without it NAME, here."""
    endpoint: str | None = None
    """Address of the hub; without it the Hugging Face Hub, or HF_ENDPOINT."""
    revision: str | None = None
    """Branch, tag or commit; without it the newest."""


COMMAND_LINE = command_line("pull", PullOptions)


def main(words: Sequence[str]) -> None:
    """Pull an agent.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain.
    """
    options = COMMAND_LINE.parse(words)
    from mario_agents.publishing.hub import pull

    folder = options.out or Path(options.repo.rpartition("/")[2])
    agent = pull(options.repo, folder, endpoint=options.endpoint, revision=options.revision)
    watch = shell_words("mario-agents", "watch", agent.path)
    print(f"{options.repo} ({agent.trainer}) is in {agent.path}; see it: {watch}")
