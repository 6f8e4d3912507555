"""MarioSnapshot-v0 in the vector is MarioSnapshot-v0, bit for bit."""

from __future__ import annotations

import pytest

from mario_envkit.emulator import native
from tests.snapshots.vectors import MODES, assert_equal_for, make_both, walk

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

LEVELS = ["1-1", "1-2", "8-1", "random", "full", ["2-2", "7-4"], "4-3"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_mixed_levels(mode, restore, threads):
    both = make_both(
        7, levels=LEVELS, autoreset_mode=mode, num_threads=threads, restore=restore,
        checkpoint_interval=80, stall_limit=40,
    )  # fmt: skip
    stats = assert_equal_for(*both, 300, walk(7, 7, threads), seed=threads)
    assert stats["total_restores"] > 20
    assert stats["total_give_ups"]
