"""Within the environment of a peer: our warnings, and those of Gymnasium about us, are errors."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        r"error:::mario_(envkit|agents)(\..*)?",
        r"error:.*WARN.*:UserWarning",  # what Gymnasium's logger says of an environment
    ):
        config.addinivalue_line("filterwarnings", line)
