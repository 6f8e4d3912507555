"""A short part of the long run of ``python -m tests.lockstep``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mario_envkit.emulator import native
from tests.lockstep.references import LOST_LEVELS, VANILLA, ReferenceMissingError
from tests.lockstep.runs import Outcome, against_cynes, against_nes_py, against_stable_retro

pytestmark = pytest.mark.skipif(
    not native.is_available(), reason="mario_envkit was installed without its native core"
)

RUNS: dict[str, Callable[[], Outcome]] = {
    "1-1": lambda: against_nes_py(VANILLA, 2000, seed=1, pictures_every=5),
    "2-2": lambda: against_nes_py(VANILLA, 700, seed=2, pictures_every=20, stage=(2, 2)),
    "7-4": lambda: against_nes_py(VANILLA, 700, seed=3, pictures_every=20, stage=(7, 4)),
    "lost levels": lambda: against_nes_py(LOST_LEVELS, 900, seed=4, pictures_every=20),
    "cynes": lambda: against_cynes(VANILLA, 2000, seed=5),
    "stable-retro": lambda: against_stable_retro(VANILLA, 2000, seed=6),
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.slow
def test_frames_are_equal(name: str) -> None:
    try:
        outcome = RUNS[name]()
    except ReferenceMissingError as missing:
        pytest.skip(f"not installed: {missing}")
    print(outcome)
    assert outcome.ok, str(outcome)
