"""Within the environment of a peer: our warnings, and those of Gymnasium about us, are errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import PAGES, Document

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    named = [(config.invocation_params.dir / arg.partition("::")[0]) for arg in config.args]
    if not all(path.resolve().is_relative_to(HERE) for path in named):
        return  # whoever collects all tests reads this file too; the rest has its own filters
    for line in (
        r"error:::mario_(envkit|agents)(\..*)?",
        r"error:.{5}WARN",  # colour, WARN: what Gymnasium's logger says of an environment
    ):
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture
def run_snippet(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, Any]]:
    """Runs what the documents say about the peer of a file of tests; the names that it leaves."""
    command = f"pytest tests/conformance --peer {request.path.stem}"
    page = Document(PAGES / "how-to" / "other-libraries.md")
    blocks = [block for block in page.blocks if block.note("compile only") == command]

    def run() -> dict[str, Any]:
        assert blocks, f"no block of {page.name} has the comment 'compile only: {command}'"
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {"__name__": "snippet"}
        for block in blocks:
            code = compile("\n" * (block.line - 1) + block.text, page.name, "exec")
            exec(code, names)
        return names

    return run
