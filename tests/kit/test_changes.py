"""What may change while games are played: weights of the reward, and how sticky actions are."""

from __future__ import annotations

import copy
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from mario_envkit.errors import CallOrderError, OptionError
from mario_envkit.game.rewards import Death, Flag, Progress, RewardFunction, Stall
from tests.native.vectors import assert_same


class OwnProgress(Progress):
    """A term that only Python knows."""


OWN = RewardFunction((OwnProgress(per_area=True), Flag(50), Death(-50), Stall(-0.0)), scale=0.1)
KWARGS: dict[str, Any] = {
    "observation": "tiles", "reward": "progress", "reward_weights": {"death": 5, "stall": 0},
    "stall_limit": 20, "repeat_action_probability": 0.4, "noop_max": 5,
}  # fmt: skip


def pair(env_id: str, **kwargs: Any) -> tuple[Any, Any]:
    """The native vector, and single environments."""
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return (
        gymnasium.make_vec(env_id, num_envs=3, **mode, **kwargs),
        gymnasium.make_vec(
            env_id, num_envs=3, vectorization_mode="sync", vector_kwargs=mode, **kwargs
        ),
    )


@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioSnapshot-v0"])
@pytest.mark.parametrize("own", [False, True], ids=["compiled", "in Python"])
def test_a_vector_changes_as_single_games_do(env_id: str, own: bool) -> None:
    kwargs = {**KWARGS, "reward": OWN, "reward_weights": None} if own else KWARGS
    if env_id == "MarioSnapshot-v0":
        kwargs = {**kwargs, "checkpoint_interval": 20}
    ours, theirs = pair(env_id, **kwargs)
    rng = np.random.default_rng(0)
    paid, ended = set(), 0
    with closing(ours), closing(theirs):
        ours.set_repeat_action_probability(0.0)
        theirs.call("set_repeat_action_probability", 0.0)
        assert_same(ours.reset(seed=1), theirs.reset(seed=1), "reset")
        for step in range(300):
            if step % 25 == 0:
                weights = {"death": 5 + step / 10, "stall": step / 30, "flag": 7}
                if not own:
                    weights["progress"] = 1 - step / 400
                chance = step / 1000
                ours.set_reward_weights(weights)
                ours.set_repeat_action_probability(chance)
                theirs.call("set_reward_weights", weights)
                theirs.call("set_repeat_action_probability", chance)
            actions = rng.integers(0, 5, 3)
            ours_step, theirs_step = ours.step(actions), theirs.step(actions)
            assert_same(ours_step, theirs_step, f"step {step}")
            paid.update(ours_step[1][ours_step[1] < 0].round(3).tolist())
            ended += int((ours_step[2] | ours_step[3]).sum())
    assert len(paid) > 3
    assert ended > 3


def test_prices_are_those_of_the_moment() -> None:
    """The same way into the first enemy, at another price."""
    returns = []
    for price in (5, 25):
        env = gymnasium.make("MarioTrain-v0", reward="progress", observation="tiles")
        with closing(env):
            env.reset(seed=0)
            env.get_wrapper_attr("set_reward_weights")({"death": price})
            rewards = []
            terminated = False
            while not terminated:
                _, reward, terminated, _, info = env.step(1)
                rewards.append(reward)
        assert info["death_cause"] == "enemy"
        returns.append(rewards)
    assert returns[0][:-1] == returns[1][:-1]
    # Dying takes several frames of the last step, each of which costs.
    assert (returns[1][-1] - returns[0][-1]) % 20 == pytest.approx(0)
    assert returns[1][-1] < returns[0][-1]


def test_sticky_actions_are_as_likely_as_they_were_last_said_to_be() -> None:
    env = gymnasium.make("MarioTrain-v0", repeat_action_probability=0.5, observation="tiles")
    sticky = env.get_wrapper_attr("set_repeat_action_probability")
    layer: Any = env
    while not hasattr(type(layer), "set_repeat_action_probability"):
        layer = layer.env
    shares = []
    with closing(env):
        env.reset(seed=0)
        for chance in (0.0, 0.8, 0.2):
            sticky(chance)
            layer.last_action = 0
            repeated = [layer.action(1 + step % 3) != 1 + step % 3 for step in range(2_000)]
            shares.append(np.mean(repeated))
        with pytest.raises(OptionError, match="repeat_action_probability"):
            sticky(1.0)
    assert shares == pytest.approx([0.0, 0.8 * 2 / 3, 0.2 * 2 / 3], abs=0.2)
    assert shares[0] == 0 < shares[2] < shares[1]


def test_copies_pay_what_was_last_said() -> None:
    ours = gymnasium.make_vec("MarioTrain-v0", num_envs=2, **KWARGS)
    with closing(ours):
        ours.reset(seed=0)
        ours.set_reward_weights({"death": 60, "progress": 0.125})
        with closing(copy.deepcopy(ours)) as again:
            for step in range(60):
                assert_same(ours.step([1, 3]), again.step([1, 3]), f"step {step}")
    env = gymnasium.make("MarioTrain-v0", **KWARGS)
    env.reset(seed=0)
    env.get_wrapper_attr("set_reward_weights")({"progress": 0.125})
    again = copy.deepcopy(env)
    for one, other in zip(env.step(1), again.step(1), strict=True):
        np.testing.assert_equal(one, other)


def test_snapshots_fit_whatever_the_weights_have_become(tmp_path) -> None:
    kwargs = {**KWARGS, "archive": tmp_path / "snapshots", "checkpoint_interval": 20}
    with closing(gymnasium.make_vec("MarioSnapshot-v0", num_envs=2, **kwargs)) as envs:
        envs.reset(seed=0)
        envs.set_reward_weights({"death": 60})
        for _ in range(80):
            envs.step([1, 1])
        assert envs.total_saves
        assert envs.total_restores
    with closing(gymnasium.make_vec("MarioSnapshot-v0", num_envs=2, **kwargs)) as again:
        again.set_reward_weights({"death": 90})
        again.reset(seed=1)


def test_what_cannot_change_is_refused_in_a_sentence() -> None:
    plain = {**KWARGS, "reward_weights": None, "repeat_action_probability": 0.0}
    with closing(gymnasium.make_vec("MarioTrain-v0", num_envs=2, **plain)) as envs:
        envs.reset(seed=0)
        with pytest.raises(OptionError, match="cannot get stall, as its reward has only progress"):
            envs.set_reward_weights({"stall": 5})
        with pytest.raises(OptionError, match="there is no term"):
            envs.set_reward_weights({"deth": 5})
        with pytest.raises(OptionError, match="cannot become sticky; make them with"):
            envs.set_repeat_action_probability(0.25)
        envs.step_async([1, 1])
        with pytest.raises(CallOrderError, match="step_wait"):
            envs.set_reward_weights({"death": 5})
        envs.step_wait()
        envs.set_reward_weights({"death": 5})
