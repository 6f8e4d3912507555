"""What the actor says of each step, and what it reports."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_env, make_vector
from mario_agents.acting.episodes import EpisodeTracker, StepInfo
from mario_agents.acting.plugin_policy import PluginPolicy
from mario_agents.core.policy import Policy
from mario_agents.core.types import clear_state
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalProtocol
from mario_agents.telemetry.episodes import CollectResult, Death
from mario_agents.testing.corridor import CORRIDOR, DEATH, DIE, RIGHT, STAY
from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.curriculum.schedule import Fixed


class Script(Policy):
    """Plays given actions, one row for each step; its state counts the steps since a beginning."""

    device = torch.device("cpu")

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = iter(rows)
        self.asked: set[tuple[str, int]] = set()
        self.ages: list[list[int]] = []

    def initial(self, n):
        return torch.zeros(n, dtype=torch.int64)

    def act(self, obs, state, is_first, *, mode, step):
        self.asked.add((mode, step))
        state = clear_state(state, is_first)
        self.ages.append(state.tolist())
        return torch.tensor(next(self.rows)), {"age": state}, state + 1


def run(env_kwargs, rows):
    envs = make_vector(env_kwargs, len(rows[0]))
    policy, added = Script(rows), []
    collected = Actor(envs, policy, seed=0).collect(len(rows) * len(rows[0]), 100, added.append)
    envs.close()
    assert policy.asked == {("explore", 100)}
    return [step._asdict() for step in added], collected


def places(stack: np.ndarray) -> list[int]:
    return (stack[:, 0, 0] // 20).tolist()


def test_episodes_deaths_and_final_observations():
    # Environment 0 reaches the flag, environment 1 dies on its third step and starts again.
    rows = [[RIGHT, RIGHT], [STAY, RIGHT], [RIGHT, DIE], [RIGHT, RIGHT]]
    added, collected = run({"id": CORRIDOR, "length": 3}, rows)
    assert collected.steps == 8
    assert [a["terminated"].tolist() for a in added] == [
        *[[False, False], [False, False], [False, True], [True, False]]
    ]
    assert not any(a["truncated"].any() for a in added)
    assert [a["is_first"].tolist() for a in added] == [
        *[[True, True], [False, False], [False, False], [False, True]]
    ]
    assert [a["extras"]["age"].tolist() for a in added] == [[0, 0], [1, 1], [2, 2], [3, 0]]
    assert places(added[2]["obs"][1]) == [0, 0, 1, 2]
    assert places(added[2]["final_obs"][1]) == [0, 1, 2, 2]
    assert places(added[3]["obs"][1]) == [0, 0, 0, 0]
    assert places(added[3]["final_obs"][0]) == [1, 1, 2, 3]
    assert added[2]["reward"].tolist() == [1.0, DEATH]
    assert collected.deaths == [Death("1-1", 20, "pit")]
    died, flag = collected.episodes
    assert (died.env, died.length, died.reward, died.best_x, died.flags) == (1, 3, -3.0, 20, 0)
    assert (flag.env, flag.length, flag.reward, flag.best_x, flag.flags) == (0, 4, 8.0, 30, 1)


def test_a_truncated_episode_is_no_termination():
    added, collected = run({"id": CORRIDOR, "limit": 2}, [[STAY], [RIGHT], [RIGHT]])
    assert [bool(a["truncated"][0]) for a in added] == [False, True, False]
    assert not any(a["terminated"].any() for a in added)
    assert [bool(a["is_first"][0]) for a in added] == [True, False, True]
    assert places(added[1]["final_obs"][0]) == [0, 0, 0, 1]
    assert places(added[2]["obs"][0]) == [0, 0, 0, 0]
    (episode,) = collected.episodes
    assert episode.truncated
    assert episode.length == 2


class Restoring(gymnasium.Env[np.ndarray, int]):
    """Dies on action 1 and goes on from a snapshot in the same step."""

    def __init__(self, **ignored: Any) -> None:
        pass

    observation_space = Box(0, 255, (2, 36, 36), np.uint8)
    action_space = Discrete(2)

    def _obs(self, value):
        return np.full((2, 36, 36), value, dtype=np.uint8)

    def reset(self, *, seed=None, options=None):
        return self._obs(1), {"x_pos": 1, "level": "1-1", "life_lost": False}

    def step(self, action):
        info = {"x_pos": 9, "level": "1-1", "life_lost": bool(action), "death_cause": "enemy"}
        info |= {"snapshot_restored": bool(action), "life_lost_obs": self._obs(66)}
        info["life_lost_info"] = {"x_pos": 50, "level": "1-1", "death_cause": "enemy"}
        return self._obs(7), 1.0, False, False, info


def test_a_lost_life_is_terminal_although_the_game_goes_on():
    gymnasium.register("Restoring-v0", entry_point=Restoring)
    try:
        added, collected = run({"id": "Restoring-v0"}, [[0, 0], [1, 0], [0, 0]])
    finally:
        del gymnasium.registry["Restoring-v0"]
    assert [a["terminated"].tolist() for a in added] == [
        *[[False, False], [True, False], [False, False]]
    ]
    assert [a["is_first"].tolist() for a in added] == [
        *[[True, True], [False, False], [True, False]]
    ]
    assert added[2]["extras"]["age"].tolist() == [0, 2]
    assert (added[1]["final_obs"][0] == 66).all()
    assert (added[1]["final_obs"][1] == 7).all()
    assert (added[2]["obs"] == 7).all()
    assert collected.episodes == []
    assert collected.deaths == [Death("1-1", 50, "enemy")]


def test_the_public_face_of_a_policy_keeps_its_state_until_the_reset():
    script = Script([[0, 1]] * 5)
    policy, obs = PluginPolicy(script), np.zeros((2, 4), np.uint8)
    for steps in (3, 2):
        policy.reset(2)
        for _ in range(steps):
            assert policy.act(obs, greedy=True).tolist() == [0, 1]
    assert script.ages == [[0, 0], [1, 1], [2, 2], [0, 0], [1, 1]]
    assert script.asked == {("greedy", 0)}


def test_a_lost_life_clears_the_state_in_evaluation_too():
    """The public face cannot say so: whoever steps environments asks the policy behind it."""
    script = Script([[0], [1], [0]])
    gymnasium.register("Restoring-v0", entry_point=Restoring, max_episode_steps=3)
    try:
        evaluate(PluginPolicy(script), {"id": "Restoring-v0"}, EvalProtocol(episodes=1))
    finally:
        del gymnasium.registry["Restoring-v0"]
    assert script.ages == [[0], [1], [0]]
    assert script.asked == {("greedy", 0)}


@pytest.mark.parametrize("backend", ["vector", "sync"])
@pytest.mark.slow
def test_a_death_is_where_mario_died_and_not_where_he_went_on(backend, monkeypatch):
    """With snapshots the info of the step is that of the snapshot: the death's is within."""
    if backend == "sync":
        monkeypatch.setattr("mario_agents.acting.environments.native.is_available", lambda: False)
    kwargs = {"id": "mario_envkit:MarioSnapshot-v0", "level": "1-1", "actions": "right_only"}
    envs = make_vector({**kwargs, "screen_size": 36}, 2)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    tracker, collected, restored = EpisodeTracker(2), CollectResult(), 0
    for _ in range(400):
        _, reward, terminated, truncated, infos = envs.step(rng.choice([1, 1, 2, 3, 4], 2))
        ended = terminated | truncated
        tracker.step(reward, ended, truncated, StepInfo(infos, ended), collected)
        restored += int(np.sum(infos.get("snapshot_restored", 0)))
    handlers = envs.handlers if backend == "vector" else envs.get_attr("handler")
    # They keep records of their own.
    known = DeathHotspotAggregate()
    known.merge(*(handler.hotspots.aggregate for handler in handlers))
    ours = DeathHotspotAggregate()
    for death in collected.deaths:
        ours.record_death(death.level, death.x_pos, death.area)
    envs.close()
    assert restored >= 2
    assert ours.get_hotspots("1-1", 1) == known.get_hotspots("1-1", 1)
    (area,) = {death.area for death in collected.deaths}
    assert area > 0
    assert known.in_area("1-1", area) == ours.in_area("1-1", area) == ours.get_hotspots("1-1", 1)


class Heard(Fixed):
    """A level schedule that keeps what it is told: of true starts, until a snapshot helped."""

    def __init__(self, level):
        super().__init__(level)
        self.successes = []

    def record(self, level, success):
        self.successes.append(success)


@pytest.mark.parametrize("native", [True, False])
def test_what_is_shown_is_what_true_starts_lead_to_without_help(native, way):
    """A random player holds right and jumps, goes on from snapshots, and begins half of its
    episodes near the flag. Level schedules hear of the others alone, until the first restore."""
    level = Heard("1-1")
    kwargs = {
        "id": "mario_envkit:MarioSnapshot-v0", "actions": "simple", "stall_limit": 20,
        "screen_size": 36, "start_states": BackwardStarts(way, true_starts=0.5),
    }  # fmt: skip
    if native:
        envs = make_vector({**kwargs, "levels": [level] * 4}, 4)
    else:
        each = [partial(make_env, kwargs, level=level)] * 4
        envs = SyncVectorEnv(each, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    tracker, collected, restored = EpisodeTracker(4), CollectResult(), 0
    for _ in range(900):
        _, reward, terminated, truncated, infos = envs.step(rng.choice([1, 2, 3, 4], 4))
        ended = terminated | truncated
        tracker.step(reward, ended, truncated, StepInfo(infos, ended), collected)
        restored += int(np.sum(infos.get("snapshot_restored", 0)))
    envs.close()
    shown = [episode for episode in collected.episodes if episode.shown]
    assert restored > 3
    assert collected.first_lives
    assert len(collected.episodes) > len(shown)
    assert any(episode.success for episode in collected.episodes)
    assert len(shown) + len(collected.first_lives) == len(level.successes)
    assert sum(episode.success for episode in shown) == sum(level.successes)
    assert not any(life.success or life.truncated for life in collected.first_lives)


@pytest.mark.parametrize("price", [0, 2])
def test_a_stall_with_a_price_is_terminal(price):
    kwargs = {
        "id": "mario_envkit:MarioTiles-v0", "stall_limit": 3, "reward": "progress",
        "reward_weights": {"stall": price},
    }  # fmt: skip
    steps, collected = run(kwargs, [[0, 1]] * 5)
    assert [step["terminated"].tolist() for step in steps] == [
        [price > 0 and number == 2, False] for number in range(5)
    ]
    assert [step["truncated"].tolist() for step in steps] == [
        [price == 0 and number == 2, False] for number in range(5)
    ]
    assert steps[2]["reward"][0] == -price
    assert [step["is_first"][0] for step in steps] == [True, False, False, True, False]
    assert len(collected.episodes) == 1
