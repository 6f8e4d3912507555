"""The options of all our commands, as the site's generator lists them."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

HOOKS = Path(__file__).parents[2] / "docs" / "hooks"


def hook(name: str) -> Any:
    """A module of ``docs/hooks``, which is no package."""
    full = f"mario_docs_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HOOKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@cache
def known_options() -> frozenset[str]:
    """Every option of every command and trainer of ours, with its dashes."""
    catalogue = hook("catalogue")
    names = {"--help"}
    for command in catalogue.all_commands():
        for group in command.groups:
            for option in group.options:
                names.update(option.flags)
    return frozenset(names)
