"""The flag that says which libraries are tried."""

from __future__ import annotations

import pytest

from tests.conformance.peers import PEERS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--peer", action="append", choices=[*PEERS, "all"], default=[],
        help="train with this library, in an environment of its own with it; may be repeated",
    )  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Without the flag, those that need no installation."""
    if "peer" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("peer", [])
    if "all" in chosen:
        chosen = list(PEERS)
    elif not chosen:
        chosen = [name for name, peer in PEERS.items() if not peer.requirements]
    metafunc.parametrize("peer", [PEERS[name] for name in chosen], ids=chosen)
