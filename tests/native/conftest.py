from __future__ import annotations

import pytest

from mario_envkit.emulator import native


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if native.is_available():
        return
    skip = pytest.mark.skip(reason="mario_envkit was installed without its native core")
    for item in items:
        if "native" in item.path.parts:
            item.add_marker(skip)
