"""Leaderboards as Markdown, HTML and CSV."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mario_agents.evaluation.tracks import TRACKS
from mario_agents.experiments.markdown import grid
from mario_agents.leaderboard.entries import OVERALL, Entry, Table, Terms
from mario_agents.report.page import render

_TEMPLATE = Path(__file__).with_name("page.html.j2")
_GAMES = {"smb": "Super Mario Bros", "lost_levels": "The Lost Levels"}
UNKNOWN = "-"
NOTES = (
    "Success in per cent, from true starts, with 95 % intervals (Wilson) in brackets; of several "
    "levels the mean, and the interval of all episodes together.",
    "Overall is the mean of all conditions; the worst tenth, the worst stage and the mean farthest "
    "x, in pixels, are by the column that sorts the table. A stage that counts and was not played "
    "counts as never cleared.",
    "Minutes are of training, on whatever machine; declared is what an author says and no run "
    "recorded. Tables differ in their levels, conditions, cartridge or console, and are "
    "not comparable with one another.",
)


def as_markdown(tables: Sequence[Table], by: str) -> str:
    """Markdown that can be read as it is."""
    parts = []
    for table in tables:
        lines = [[_escaped(cell) for cell in line] for line in _lines(table, by)]
        head = f"## {_escaped(title(table.terms))}\n\n{_escaped(described(table.terms))}"
        parts.append(f"{head}\n\n{grid(_heading(table.terms, by), lines)}")
    return "\n\n".join([*parts, *NOTES]) + "\n"


def as_html(tables: Sequence[Table], by: str) -> str:
    """A page that needs no network; whatever results say is text in it, and nothing else."""
    return render(
        _TEMPLATE,
        made=time.strftime("%Y-%m-%d %H:%M"),
        tables=[_table_values(table, by) for table in tables],
        notes=NOTES,
    )


def _table_values(table: Table, by: str) -> dict[str, Any]:
    return {
        "title": title(table.terms),
        "about": described(table.terms),
        "heading": _heading(table.terms, by),
        "lines": _lines(table, by),
    }


def as_csv(tables: Sequence[Table], by: str) -> str:
    """A line for each entry and condition, and one for all conditions together; rates as shares."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(
        [
            *("track", "rank", "agent", "kind", "trainer", "levels", "missing", "condition"),
            *("mean", "low", "high", "worst_tenth", "worst", "worst_level", "mean_x"),
            *("episodes", "minutes", "agent_steps", "declared", "sticky", "noop_max", "game"),
            *("rom_sha256", "on", "core", "code_sha256", "version", "files"),
        ]
    )
    for table in tables:
        for rank, entry in enumerate(table.entries, 1):
            for condition in (OVERALL, *table.terms.conditions):
                lines.writerow(map(_inert, _csv_line(entry, rank, condition)))
    return file.getvalue()


def _inert(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell


def _csv_line(entry: Entry, rank: int, condition: str) -> list[object]:
    result, terms, spread = entry.first, entry.terms, entry.spread(condition)
    files = [file for each in entry.results for file in each.agent.files.items()]
    bounds = None if condition == OVERALL else entry.estimate(condition)
    return [
        *(terms.section[0], rank, result.agent.name, result.agent.kind, result.agent.trainer),
        *(" ".join(entry.levels), " ".join(entry.missing), condition, spread.mean),
        *(("", "") if bounds is None else (bounds.low, bounds.high)),
        *(spread.worst_tenth, spread.worst, spread.worst_level, entry.mean_x(condition)),
        *(
            entry.episodes,
            entry.minutes,
            entry.agent_steps,
            result.training.declared,
            terms.sticky,
            terms.noop_max,
            terms.game,
        ),
        *(terms.rom_sha256, terms.on, terms.core, result.game.code_sha256),
        result.made.versions.get("mario-envkit", ""),
        " ".join(f"{name}={sha256}" for name, sha256 in files),
    ]


def title(terms: Terms) -> str:
    """Of a table."""
    track, *levels = terms.section
    if track in TRACKS:
        return TRACKS[track].title
    return f"No track: {' '.join(levels)}"


def described(terms: Terms) -> str:
    """What all entries of a table share."""
    game = _GAMES.get(terms.game, terms.game or "a game of another package")
    rom = f" (SHA-256 {terms.rom_sha256[:12]})" if terms.rom_sha256 else ""
    core = f", {terms.core}" if terms.core else ""
    return (
        f"{game}{rom}, played on {terms.on}{core}; sticky {terms.sticky:g}, up to "
        f"{terms.noop_max} no-op frames; layout {terms.schema} of results."
    )


def _heading(terms: Terms, by: str) -> list[str]:
    names = [name + (" (sorts)" if name == by else "") for name in (OVERALL, *terms.conditions)]
    return ["", "agent", "by", "levels", *names, "worst tenth", "worst stage", "mean x", "minutes",
            "episodes", "digest", "measured with"]  # fmt: skip


def _lines(table: Table, by: str) -> list[list[str]]:
    return [_line(rank, entry, by) for rank, entry in enumerate(table.entries, 1)]


def _line(rank: int, entry: Entry, by: str) -> list[str]:
    result, spread = entry.first, entry.spread(by)
    version = result.made.versions.get("mario-envkit", UNKNOWN)
    return [
        str(rank),
        result.agent.name,
        result.agent.trainer or result.agent.kind,
        _levels(entry),
        f"{entry.spread().mean:.1%}".rstrip("%"),
        *(_rate(entry, condition) for condition in entry.terms.conditions),
        f"{spread.worst_tenth:.1%}".rstrip("%"),
        f"{spread.worst:.1%}".rstrip("%") + f" ({spread.worst_level})",
        f"{entry.mean_x(by):.0f}",
        _minutes(entry),
        str(entry.episodes),
        _digest(entry),
        f"{version}, code {result.game.code_sha256[:8]}",
    ]


def _levels(entry: Entry) -> str:
    wanted, missing = entry.terms.wanted, entry.missing
    if missing:
        return f"{len(wanted) - len(missing)} of {len(wanted)}"
    return wanted[0] if len(wanted) == 1 else str(len(wanted))


def _rate(entry: Entry, condition: str) -> str:
    bounds, mean = entry.estimate(condition), 100 * entry.spread(condition).mean
    if bounds is None:
        return f"{mean:.1f}"
    return f"{mean:.1f} ({100 * bounds.low:.1f} to {100 * bounds.high:.1f})"


def _minutes(entry: Entry) -> str:
    if entry.minutes is None:
        return UNKNOWN
    declared = any(result.training.declared for result in entry.results)
    return f"{entry.minutes:.1f}{' declared' if declared else ''}"


def _digest(entry: Entry) -> str:
    """Of the first file, with how many others there are."""
    digests = [sha for result in entry.results for sha in result.agent.files.values()]
    more = f" and {len(digests) - 1} more" if len(digests) > 1 else ""
    return f"{digests[0][:12]}{more}" if digests else UNKNOWN


def _escaped(text: str) -> str:
    """Text in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>&])", r"\\\1", text)
