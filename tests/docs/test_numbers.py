"""The numbers of README are those of the page that has their commands."""

from __future__ import annotations

import re

from tests.docs.markdown import PAGES, ROOT, Document


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


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
