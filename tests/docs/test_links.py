"""Links of the documents lead to files that are there, and to headings that are in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, Document, documents

DOCUMENTS = documents()
ANCHORS = {document.path: document.anchors for document in DOCUMENTS}
FROM_DOCSTRINGS = PAGES / "reference" / "api"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links(document: Document) -> None:
    wrong = []
    for target, line in document.links:
        if re.match(r"[a-z]+:", target):
            continue
        problem = problem_of(target, document)
        wrong += [f"{document.name}:{line}: {target}: {problem}"] if problem else []
    assert not wrong, "\n".join(wrong)


def problem_of(target: str, document: Document) -> str | None:
    """What is wrong with a link, None if nothing is."""
    name, _, anchor = target.partition("#")
    path = Path(os.path.normpath(document.path.parent / name)) if name else document.path
    if not path.is_relative_to(ROOT):
        return "it leaves the repository"
    if not path.exists():
        return "there is no such file"
    if path.is_dir() and PAGES in document.path.parents and not (path / "README.md").is_file():
        return "a folder without a README.md, which has no page in the site"
    if not anchor:
        return None
    if lines := re.fullmatch(r"L(\d+)(?:-L(\d+))?", anchor):
        count = len(path.read_text(encoding="utf-8").splitlines())
        last = int(lines[2] or lines[1])
        return None if int(lines[1]) <= last <= count else f"it has {count} lines"
    if FROM_DOCSTRINGS in path.parents:
        return None  # built from docstrings: the build of the site looks at these
    return None if anchor in ANCHORS.get(path, ()) else "there is no such heading"


def test_what_is_wrong_is_found() -> None:
    readme = Document(ROOT / "README.md")
    assert problem_of("docs/pages/results.md", readme) is None
    assert problem_of("docs/pages/no-page.md", readme) is not None
    assert problem_of("docs/pages/results.md#no-heading", readme) is not None
    assert problem_of("pyproject.toml#L99999", readme) is not None
    assert problem_of("../elsewhere", readme) is not None
