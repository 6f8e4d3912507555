"""The README's examples of curricula run as they are written."""

from __future__ import annotations

import re
from pathlib import Path

from mario_envkit.curriculum.level_text import resolve_schedule
from mario_envkit.emulator import native

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("### Curricula")[1].split("### Plan with copies")[0]


def test_code():
    native.require()
    blocks = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    exec("import gymnasium, mario_envkit", names)
    for block in blocks:
        exec(block, names)
    assert names["info"]["start"] == "true"  # type: ignore[index]
    assert names["state"]["position"] > 50  # type: ignore[index]


def test_levels():
    table = SECTION.split("| the next episode plays |")[1].split("\n\n")[0]
    texts = re.findall(r'`"(.*?)"`', table)
    assert len(texts) == 8
    for text in texts:
        assert resolve_schedule(text).levels[0] == (1, 1)
