"""docs/pages/architecture.md, and the page of a run's files, say what is there."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

import pytest

import mario_agents
from mario_agents.core.eager import AdamW

PACKAGE = Path(mario_agents.__file__).parent
PAGES = Path(__file__).parents[2] / "docs" / "pages"
PAGE = PAGES / "architecture.md"
RUN = PAGES / "reference" / "run-directory.md"


def test_every_file_and_room_it_names_exists_and_no_room_is_missing() -> None:
    text = PAGE.read_text()
    named = set(re.findall(r"`([a-z_/]+(?:/|\.py))`", text))
    assert len(named) > 25
    own = named - {"metrics.py", "config.py"}  # the last two are in any folder
    assert [name for name in sorted(own) if not (PACKAGE / name).exists()] == []
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {name.removesuffix("/") for name in named} >= rooms


def test_the_way_from_the_command_to_the_optimizer_and_what_a_run_leaves(
    cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = []
    step = AdamW.step

    def stepping(optimizer: AdamW) -> Any:
        stack = [(Path(frame.filename), frame.name) for frame in traceback.extract_stack()]
        ways.append([
            (file.relative_to(PACKAGE).as_posix(), name)
            for file, name in stack if PACKAGE in file.parents
        ])  # fmt: skip
        return step(optimizer)

    monkeypatch.setattr(AdamW, "step", stepping)
    done = cli("train", "walk", "--run-dir", "run", "--total-steps", 64, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    told = [
        (file, name)
        for file, names in re.findall(r"^\d\. `(\S+)` ((?:`\w+`(?:, )?)+):", PAGE.read_text(), re.M)
        for name in re.findall(r"\w+", names)
    ]
    assert ways[0] == told
    listed = re.findall(r"^## A run directory\n\n```\n(.*?)^```", RUN.read_text(), re.M | re.S)
    written = {re.sub(r"_\d+\b", "_N", path.name) for path in Path("run").iterdir()}
    assert [name for name in sorted(written) if name not in listed[0]] == []
