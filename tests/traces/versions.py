"""Recorders refuse to run on other versions than those they are to record."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from importlib import metadata


def require(needed: Mapping[str, str], recorder: str) -> dict[str, str]:
    """Versions found, Python's included, if each starts as ``needed`` says.

    Exits with one sentence otherwise, which sends the reader to the docstring of ``recorder``.
    """
    found = {}
    for package, start in needed.items():
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "none"
        if not found[package].startswith(start):
            sys.exit(
                f"The recorder needs {package} {start} but found {found[package]}: make a virtual "
                f"environment as the docstring of {recorder} describes."
            )
    return {**found, "python": platform.python_version()}
