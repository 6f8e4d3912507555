"""Evaluation and playback on the toy, where every number is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.acting.environments import make_env
from mario_agents.acting.plugin_policy import PluginPolicy
from mario_agents.core.policy import Mode, SeededPolicy
from mario_agents.core.types import State
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_agents.playback.player import FrameTap
from mario_agents.playback.policy_player import play_episode

TOY: dict[str, Any] = {"id": "toy_trainer:Toy-v0"}


pytestmark = pytest.mark.usefixtures("toy")


class Always:
    """Takes one action, and remembers how it was asked."""

    def __init__(self, action: int) -> None:
        self.action = action
        self.resets: list[int] = []
        self.greedy: set[bool] = set()

    def reset(self, num_envs: int) -> None:
        self.resets.append(num_envs)

    def act(self, observations: Any, *, greedy: bool) -> Any:
        self.greedy.add(greedy)
        return np.full(len(observations), self.action, np.int64)


def test_a_walk_to_the_goal() -> None:
    policy = Always(1)
    result = evaluate(policy, TOY, EvalProtocol(episodes=7, greedy=False), max_envs=3)
    assert policy.resets == [3, 3, 3]
    assert policy.greedy == {False}
    assert result.episodes == (EvalEpisode("1-1", True, 12.0, 12, 12, "flag", 1),) * 7
    assert result.success_rate.mean == 1.0


def test_standing_still_is_a_stall() -> None:
    result = evaluate(Always(0), TOY, EvalProtocol(episodes=2))
    assert result.episodes == (EvalEpisode("1-1", False, 0.0, 0, 40, "stalled"),) * 2
    assert result.success_rate.mean == 0.0


def test_deaths_follow_the_seed_and_waves_change_nothing() -> None:
    kwargs = {**TOY, "danger": 0.1}
    whole = evaluate(Always(1), kwargs, EvalProtocol(episodes=12, seed=5), max_envs=12)
    waves = evaluate(Always(1), kwargs, EvalProtocol(episodes=12, seed=5), max_envs=5)
    other = evaluate(Always(1), kwargs, EvalProtocol(episodes=12, seed=50), max_envs=12)
    assert whole == waves
    assert whole != other
    assert {episode.ending for episode in whole.episodes} == {"flag", "pit"}
    # The chance to walk 12 deadly steps is 0.9^12 = 0.28; short episodes must not be counted more.
    many = evaluate(Always(1), kwargs, EvalProtocol(episodes=400), max_envs=7)
    assert many.success_rate.low < 0.9**12 < many.success_rate.high


class Drawing(SeededPolicy):
    """Stands still in a third of its steps, whether greedy or not, as a sampled world model may."""

    device = torch.device("cpu")

    def act(
        self, obs: torch.Tensor, state: State, is_first: torch.Tensor, *, mode: Mode, step: int
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], State]:
        return torch.randint(3, (len(obs),), generator=self._rng).clamp(max=1), {}, state


def test_what_was_played_before_makes_no_difference() -> None:
    policy, protocol = PluginPolicy(Drawing(seed=1)), EvalProtocol(episodes=5, greedy=True)
    first = evaluate(policy, TOY, protocol)
    assert len({episode.steps for episode in first.episodes}) > 1
    assert evaluate(policy, TOY, EvalProtocol(episodes=5, seed=50)) != first
    assert evaluate(policy, TOY, protocol) == first
    env = make_env(TOY, render_mode="rgb_array")
    shown = [play_episode(policy, env, greedy=True, seed=seed).steps for seed in (0, 1, 2, 0)]
    assert len(set(shown)) > 1
    assert shown[3] == shown[0]
    env.close()


def test_the_protocol_sets_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def spy(env_kwargs: Any, num_envs: int, **overrides: Any) -> Any:
        seen.update(overrides)
        raise StopIteration

    monkeypatch.setattr("mario_agents.evaluation.evaluate.make_vector", spy)
    with pytest.raises(StopIteration):
        evaluate(Always(1), TOY, EvalProtocol(sticky=0.25, noop_max=7))
    assert seen == {
        "repeat_action_probability": 0.25, "repeat_frame_probability": 0.0, "noop_max": 7
    }  # fmt: skip


def test_text_and_plain_values() -> None:
    episodes = (
        EvalEpisode("1-1", True, 10.0, 300, 20, "flag", 1),
        EvalEpisode("1-1", False, 4.0, 100, 10, "pit"),
        EvalEpisode("1-1", False, 4.0, 200, 10, "pit"),
    )
    result = Evaluation(EvalProtocol(episodes=3), episodes)
    assert "33.3%  (1/3; 95 % Wilson interval 6.1% to 79.2%)" in result.text()
    assert "mean x        200.0" in result.text()
    assert "endings       pit 2, flag 1" in result.text()
    plain = result.plain()
    assert plain["mean_return"]["mean"] == 6.0
    assert plain["episodes"]["best_x"] == [300, 100, 200]


def test_playing_one_episode_agrees_with_evaluating_it() -> None:
    kwargs = {**TOY, "danger": 0.1}
    measured = evaluate(Always(1), kwargs, EvalProtocol(episodes=5, seed=3)).episodes
    env = make_env(kwargs, render_mode="rgb_array")
    for number, episode in enumerate(measured):
        assert play_episode(Always(1), env, greedy=True, seed=3 + number) == episode
    env.close()


@pytest.mark.parametrize("native", [True, False], ids=["vector", "one by one"])
@pytest.mark.parametrize("max_envs", [2, 4, 9])
def test_levels_are_played_in_turn(
    native: bool, max_envs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are played at once, each episode is the one that its number and seed say."""
    if not native:
        monkeypatch.setattr("mario_agents.acting.environments.native.is_available", lambda: False)
    kwargs = {"level": "sequential:1-1..2-1", "stall_limit": 3, "observation": "tiles"}
    protocol = EvalProtocol(episodes=7, seed=3, noop_max=9, levels=("1-4", "1-1", "2-1"))
    found = evaluate(Always(1), kwargs, protocol, max_envs=max_envs)
    assert [each.level for each in found.episodes] == [
        "1-4",
        "1-1",
        "2-1",
        "1-4",
        "1-1",
        "2-1",
        "1-4",
    ]
    assert found.rates == {"1-1": 0, "1-4": 0, "2-1": 0}
    for number, episode in enumerate(found.episodes):
        alone = {**kwargs, **protocol.env_overrides(), **protocol.level_of(number)}
        env = make_env(alone, render_mode="rgb_array")
        assert play_episode(Always(1), env, greedy=True, seed=3 + number) == episode
        env.close()


def test_a_tap_sees_each_render_once() -> None:
    env = make_env(TOY, render_mode="rgb_array")
    pictures: list[Any] = []
    tap = FrameTap(env, pictures.append)
    assert tap.fps == 15
    play_episode(Always(1), env, greedy=True, seed=0, tap=tap)
    assert [int((picture[0, :, 0] > 0).sum()) for picture in pictures] == [4 * x for x in range(13)]
    env.close()


def test_a_tap_sees_the_frames_between_steps_of_the_game() -> None:
    kwargs = {"noop_max": 0, "stall_limit": 3}
    env = make_env(kwargs, render_mode="rgb_array")
    shapes: list[Any] = []
    tap = FrameTap(env, lambda picture: shapes.append(picture.shape))
    assert tap.fps == 60
    episode = play_episode(Always(0), env, greedy=True, seed=0, tap=tap)
    env.close()
    assert episode.ending == "stalled"
    assert shapes == [(240, 256, 3)] * (1 + 4 * episode.steps)
