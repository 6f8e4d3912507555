"""``mario-agents leaderboard``: results of evaluations beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from mario_agents.commands.parsing import command_line
from mario_agents.evaluation.conditions import Condition
from mario_envkit.errors import OptionError
from mario_envkit.files import replace_text

_ENDINGS: dict[str, Literal["markdown", "html", "csv"]] = {
    ".md": "markdown", ".html": "html", ".htm": "html", ".csv": "csv"
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LeaderboardOptions:
    """Put results of mario-agents eval --out FILE into tables, the best first: a table for each
    track of docs/pages/benchmark.md, and of its own for whatever else cannot be compared:
    other levels, conditions, cartridges or consoles. Rates are counted from the episodes in the
    files.

    For example: mario-agents leaderboard results/ --out leaderboard.html
    """

    results: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RESULT [RESULT...]")]
    """Files of results, or folders with them (*.json)."""
    by: Literal["overall"] | Condition = "overall"
    """What sorts the entries: the mean over all conditions, or one of them."""
    format: Literal["markdown", "html", "csv"] | None = None
    """How to write it; without it as the name of --out ends (.md, .html, .csv), else Markdown."""
    out: Path | None = None
    """The file; without it the tables are printed."""


COMMAND_LINE = command_line("leaderboard", LeaderboardOptions)


def main(words: Sequence[str]) -> None:
    """Print or write a leaderboard.

    Raises:
        ResultError: if a file is no result, or two of them contradict each other.
        OptionError: if there is none, or the file cannot be written.
    """
    options = COMMAND_LINE.parse(words)
    from mario_agents.evaluation.result_file import read_result
    from mario_agents.leaderboard.entries import tables_of
    from mario_agents.leaderboard.tables import as_csv, as_html, as_markdown

    results = [(path, read_result(path)) for path in _files(options.results)]
    tables = tables_of(results, options.by)
    ending = "" if options.out is None else options.out.suffix.lower()
    form = options.format or _ENDINGS.get(ending, "markdown")
    write = {"markdown": as_markdown, "html": as_html, "csv": as_csv}[form]
    text = write(tables, options.by)
    if options.out is None:
        print(text, end="")
        return
    try:
        replace_text(options.out, text)
    except OSError as error:
        raise OptionError(f"Cannot write {options.out}: {error.strerror}.") from error
    entries = sum(len(table.entries) for table in tables)
    print(f"Wrote {options.out}: {entries} entries in {len(tables)} tables.")


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files, those in folders among them; each once."""
    files: dict[Path, Path] = {}
    for path in paths:
        for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
            files.setdefault(file.resolve(), file)
    if not files:
        raise OptionError(
            "Name at least one result, or a folder that has some: mario-agents eval --out "
            "FILE.json writes them."
        )
    return list(files.values())
