"""A hook of MkDocs: a block ``source`` is a function or class of the repository, as it is now.

    ```source
    mario_agents/ops/gae.py gae
    ```

Docstrings are left out, as the text beside it explains. ``Class.method`` names a method.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```source\n(\S+) (\S+)\n```$", re.MULTILINE)
Definition = ast.FunctionDef | ast.ClassDef


def on_page_markdown(markdown: str, **ignored: Any) -> str:
    """Replace the blocks of a page."""
    return BLOCK.sub(lambda match: _block(match[1], match[2]), markdown)


def excerpt(file: str, name: str) -> str:
    """The source of a definition without docstrings.

    Raises:
        ValueError: if the file has no such function or class.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    found: Any = ast.parse(text)
    for part in name.split("."):
        inside = [node for node in found.body if isinstance(node, Definition) and node.name == part]
        if not inside:
            raise ValueError(f"{file} has no {name}: correct the block that shows it.")
        found = inside[0]
    first = min([found.lineno, *(each.lineno for each in found.decorator_list)])
    hidden = {line for node in ast.walk(found) for line in _docstring(node)}
    kept = [
        line
        for number, line in enumerate(text.splitlines()[: found.end_lineno], 1)
        if number >= first and number not in hidden
    ]
    return textwrap.dedent("\n".join(kept))


def _docstring(node: ast.AST) -> range:
    """Its lines, with an empty one behind it within a class."""
    if not isinstance(node, Definition) or ast.get_docstring(node) is None:
        return range(0)
    end = node.body[0].end_lineno or 0
    return range(node.body[0].lineno, end + 1)


def _block(file: str, name: str) -> str:
    return f'```python title="{file}"\n{excerpt(file, name)}\n```'
