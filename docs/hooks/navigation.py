"""A hook of MkDocs: ``FOLDER/*`` in the navigation is all pages of it that are not named there,
``index.md`` first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Replace the patterns by the pages in the order of their file names."""
    pages = Path(config.docs_dir)
    named = set(_paths(config.nav))

    def expanded(entries: list[Any]) -> list[Any]:
        found: list[Any] = []
        for entry in entries:
            if isinstance(entry, str) and entry.endswith("/*"):
                names = (path.relative_to(pages).as_posix() for path in pages.glob(f"{entry}.md"))
                new = (name for name in names if name not in named)
                found += sorted(new, key=lambda name: (not name.endswith("/index.md"), name))
            elif isinstance(entry, dict):
                sections = {
                    title: expanded(value) if isinstance(value, list) else value
                    for title, value in entry.items()
                }
                found += [{title: value} for title, value in sections.items() if value]
            else:
                found.append(entry)
        return found

    config.nav = expanded(config.nav)
    return config


def _paths(entries: Any) -> list[str]:
    """All paths in a navigation, however deep."""
    if isinstance(entries, str):
        return [entries]
    values = entries.values() if isinstance(entries, dict) else entries
    return [path for value in values for path in _paths(value)]
