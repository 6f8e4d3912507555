"""``mario-agents export``: what a run learned, as a directory for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mario_agents.commands import eval as measuring
from mario_agents.commands import record
from mario_agents.commands.parsing import command_line
from mario_agents.commands.stored_run import RunPath
from mario_agents.run import RunDir
from mario_agents.run.records import read_standard
from mario_envkit.command_line import shell_words
from mario_envkit.errors import RunError
from mario_envkit.files import replace_text

FILM = Path("videos", "episode.mp4")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Copy what others need of a run to a directory: configuration, weights, what the standard
    measures of exactly these weights, a film, and a page that tells all of it. Every command that
    takes a run takes that directory, and train --init goes on from it."""

    run: RunPath
    """Run directory."""
    out: Path
    """The directory, new or empty."""
    weights: Literal["best", "latest"] = "best"
    """The best weights of the evaluations during training, or the latest."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the stored weights; bfloat16 takes half of the space."""
    episodes: int = 100
    """Episodes for each of the six conditions of the standard; 0 measures nothing."""
    levels: tuple[str, ...] = ()
    """Levels to measure, as for eval; without it, where the run was trained."""
    film: bool = True
    """Record one of its games."""
    name: str | None = None
    """What the page calls it; without it, the name of the directory."""


COMMAND_LINE = command_line("export", ExportOptions)


def main(words: Sequence[str]) -> None:
    """Export an agent.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain.
    """
    options = COMMAND_LINE.parse(words)
    from mario_agents.publishing.card import build_card
    from mario_agents.publishing.export import digest, export_agent
    from mario_agents.run import read_weights

    agent = export_agent(
        RunDir.open(options.run), options.out, weights=options.weights, dtype=options.dtype
    )
    if options.episodes:
        levels = ["--levels", *options.levels] if options.levels else []
        measuring.main([str(agent.path), "--episodes", str(options.episodes), *levels])
    if options.film:
        record.main([str(agent.path), "--out", str(agent.path / FILM)])
    measured = agent.standard_path.is_file()
    card = build_card(
        agent,
        name=options.name or agent.path.resolve().name,
        steps=int(read_weights(agent, "best")[1].get("step", 0)),
        digest=digest(agent),
        played=read_standard(agent.standard_path) if measured else {},
        film=FILM.as_posix() if options.film else None,
    )
    try:
        replace_text(agent.path / "README.md", card)
    except OSError as error:
        raise RunError(f"Cannot write {agent.path / 'README.md'}: {error.strerror}.") from error
    print(f"Exported to {agent.path}; see it: {shell_words('mario-agents', 'watch', agent.path)}")
