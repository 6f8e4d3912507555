"""Numbers are those of the pages that have their commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, Document

MEASURED = re.compile(
    r"(?<![\w.,])(\d[\d,]*(?:\.\d+)?)"  # a number, perhaps the first of several with one unit
    r"(?=(?:(?:, | to | and )\d[\d,.]*)* ?(?:%|s\b|ms\b|MB\b|steps/s|(?:agent )?steps a second))"
)
SAID_AGAIN = sorted({ROOT / "README.md", *PAGES.glob("how-to/*.md"), *PAGES.glob("start/*.md")})
"""Pages that repeat some results; the chapters of the guide measure for themselves."""


def test_the_table_of_readme_is_taken_from_the_results() -> None:
    section = Document(ROOT / "README.md").text.split("## What it reaches")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    cells = [cell.strip(" %s") for row in rows for cell in row[1:] if re.search(r"\d", cell)]
    results = (PAGES / "results.md").read_text(encoding="utf-8")
    assert len(cells) > 10
    assert [cell for cell in cells if not re.search(rf"(?<!\d){re.escape(cell)}\b", results)] == []
    speeds = re.findall(r"\d+,\d{3}", section)
    assert len(speeds) == 2
    assert all(speed in results for speed in speeds)


@pytest.mark.parametrize("path", SAID_AGAIN, ids=lambda path: path.stem)
def test_numbers_beside_a_link_to_the_results_are_there(path: Path) -> None:
    results = (PAGES / "results.md").read_text(encoding="utf-8")
    results += (PAGES / "benchmark.md").read_text(encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```|`[^`]*`|\[[^\]]*\]\(#[^)]*\)", "", text, flags=re.DOTALL)
    beside_a_link = [
        section
        for section in re.split(r"\n(?=#+ )", prose)
        if re.search(r"\]\((?!http)[^)]*(?:results|benchmark)\.md", section)
    ]
    missing = [
        number
        for number in MEASURED.findall("\n".join(beside_a_link))
        if not re.search(rf"(?<![\d.,]){re.escape(number)}(?!\d|[.,]\d)", results)
    ]
    assert not missing, f"{path.name} has numbers that the results have not: {missing}"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
