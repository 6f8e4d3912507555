"""The page that goes with an agent: what it is, what it can do, how to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mario_agents.evaluation.intervals import wilson_interval
from mario_agents.run import RunDir
from mario_agents.run.records import PlayedEpisode

Played = Mapping[str, Mapping[str, Sequence[PlayedEpisode]]]
"""Episodes by level and condition."""

TEMPLATE = "card.md.j2"


class Row(NamedTuple):
    """Success in one level under one condition, with its 95 % Wilson interval, in percent."""

    level: str
    condition: str
    wins: int
    episodes: int
    rate: float
    low: float
    high: float


def rows_of(played: Played) -> list[Row]:
    """A row for each level and condition."""
    rows = []
    for level, conditions in played.items():
        for condition, episodes in conditions.items():
            wins = sum(episode.success for episode in episodes)
            low, high = wilson_interval(wins, len(episodes))
            rate = wins / len(episodes)
            rows.append(
                Row(level, condition, wins, len(episodes), 100 * rate, 100 * low, 100 * high)
            )
    return rows


def build_card(
    agent: RunDir, *, name: str, steps: int, digest: str, played: Played, film: str | None
) -> str:
    """The page as Markdown, with the header that model hubs read.

    Args:
        agent: as :func:`~mario_agents.publishing.export.export_agent` made it.
        name: of the agent.
        steps: agent steps that it had learned from.
        digest: SHA-256 of its weights.
        played: episodes by which it was measured; empty if it was not.
        film: name of a video in its directory.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, of the options that a trainer has read
    )
    return environment.get_template(TEMPLATE).render(
        name=name,
        trainer=agent.trainer,
        version=agent.version,
        options=agent.options,
        steps=steps,
        digest=digest,
        rows=rows_of(played),
        film=film,
    )
