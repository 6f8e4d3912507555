"""Over the left end of an area: the repeating part of 4-4 can put Mario at its very edge."""

from __future__ import annotations

from itertools import chain, repeat

import gymnasium
import numpy as np
import pytest

from mario_envkit.emulator import native
from mario_envkit.game.rewards import Distance, Progress, RewardFunction
from tests.native.vectors import compare, make_both

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

# "action x steps": over the lava, along the wrong way until the game takes four pages off his x,
# then to the left, over the edge, and to the right again.
RUN = (
    "4x4 3x6 2x5 1x8 4x6 3x5 1x12 5x13 4x2 1x4 4x6 2x8 5x4 1x11 4x9 3x18 4x4 6x5 3x14 "
    "6x2 3x1 6x6 2x1 6x20 3x25"
)
ACTIONS = list(
    chain.from_iterable(repeat(int(a), int(n)) for a, n in (run.split("x") for run in RUN.split()))
)
REWARD = RewardFunction((Distance(), Progress("whole"), Progress("area", per_area=True)))
KWARGS = {"level": "4-4", "observation": "tiles", "reward": REWARD, "frame_stack": 1}


def test_x_goes_on_below_zero():
    env = gymnasium.make("MarioTrain-v0", backend="native", **KWARGS)
    _, info = env.reset(seed=0)
    infos = [info] + [env.step(action)[4] for action in ACTIONS]
    x = np.array([info["x_pos"] for info in infos])
    assert x.max() > 1000  # the wrong way
    assert -100 < x.min() < -40
    sent_back = int(np.argmin(np.diff(x)))
    assert np.abs(np.diff(x)[sent_back + 1 :]).max() <= 12  # no jump on either side of the edge
    assert x[-1] > 100
    assert infos[-1]["area"] == infos[0]["area"]
    # The step over the edge loses one frame in the reward of 7.4, as there.
    out = int(np.flatnonzero(x < 0)[0])
    moved, paid = x[out] - x[out - 1], infos[out]["reward_parts"]["distance"]
    assert moved < paid < 0
    env.close()


def test_the_vector_says_the_same():
    vector, singles = make_both("MarioTrain-v0", 2, **KWARGS)

    def actions(number: int) -> np.ndarray:
        return np.array([ACTIONS[number], ACTIONS[max(number - 1, 0)]])

    compare(vector, singles, len(ACTIONS), actions)
