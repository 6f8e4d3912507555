"""What a world model expects, and films of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
import torch

from mario_agents.acting.environments import make_env
from mario_agents.acting.plugin_policy import PluginPolicy, policy_of
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.policy import DreamingPolicy
from mario_agents.playback.dream import film_dream
from mario_agents.playback.video_recorder import AHEAD
from mario_agents.run import RunDir
from mario_agents.run.records import read_videos
from mario_agents.runtime.evaluation import EvaluationPlayer
from mario_agents.telemetry import RunMetrics
from mario_agents.telemetry.sinks.run_tensorboard import TensorBoardRun
from mario_envkit.errors import OptionError
from tests.agents.choice_game import CHOICE
from tests.agents.dreamer.toys import BLIND, CONFIG, SPACES, ChoiceDreamer

CPU = torch.device("cpu")
Pictures = list[np.ndarray[Any, Any]]


def dreamer(config: DreamerConfig = CONFIG) -> PluginPolicy:
    algorithm = ChoiceDreamer()
    context = WorkerContext(0, 1, 0, 0, 0, CPU)
    return PluginPolicy(algorithm.policy(config, algorithm.learner(config, SPACES), context))


def dreaming() -> DreamingPolicy:
    policy = policy_of(dreamer())
    assert isinstance(policy, DreamingPolicy)
    return policy


def test_a_dream_sees_nothing_after_its_first_look() -> None:
    policy, rng = dreaming(), np.random.default_rng(0)
    obs, action = rng.integers(0, 256, (10, 3), dtype=np.uint8), rng.integers(2, size=10)
    dream, _ = policy.dream(obs, action, policy.initial(1), is_first=True)
    assert np.array_equal(dream.prediction[0], dream.reconstruction[0])
    assert dream.prediction.shape == dream.reconstruction.shape == obs.shape
    assert dream.reward.shape == (10,)
    other = obs.copy()
    other[5] = 255 - other[5]
    changed, _ = policy.dream(other, action, policy.initial(1), is_first=True)
    assert np.array_equal(changed.prediction, dream.prediction)
    assert np.array_equal(changed.reconstruction[:5], dream.reconstruction[:5])
    assert not np.array_equal(changed.reconstruction[5], dream.reconstruction[5])


def test_a_dream_goes_on_where_the_one_before_ended() -> None:
    policy, rng = dreaming(), np.random.default_rng(0)
    obs, action = rng.integers(0, 256, (9, 3), dtype=np.uint8), rng.integers(2, size=9)
    state, parts = policy.initial(1), []
    for begin, end in ((0, 1), (1, 5), (5, 9)):
        dream, state = policy.dream(obs[begin:end], action[begin:end], state, is_first=begin == 0)
        parts.append(dream.reconstruction.astype(int))
    whole, ended = policy.dream(obs, action, policy.initial(1), is_first=True)
    assert np.abs(np.concatenate(parts) - whole.reconstruction).max() <= 1
    for part, expected in zip(state, ended, strict=True):
        torch.testing.assert_close(part, expected)
    new, _ = policy.dream(obs[:4], action[:4], state, is_first=True)
    assert np.abs(new.reconstruction.astype(int) - whole.reconstruction[:4]).max() <= 1


@pytest.mark.parametrize("horizon", [1, 3, 50])
def test_a_film_of_a_dream_has_a_picture_for_every_observation(horizon: int) -> None:
    env, pictures = make_env({"id": CHOICE}, render_mode="rgb_array"), Pictures()
    episode = film_dream(dreamer(), env, pictures.append, greedy=True, seed=0, horizon=horizon)
    env.close()
    assert len(pictures) == episode.steps + 1
    assert {picture.shape for picture in pictures} == {(288, 1024, 3)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}


class Noop:
    """A policy without a world model."""

    def reset(self, num_envs: int) -> None:
        """Nothing is remembered."""

    def act(self, observations: Any, *, greedy: bool) -> Any:
        return np.zeros(len(observations), np.int64)


@pytest.mark.parametrize(
    ("policy", "reason"), [(Noop, "with a world model"), (lambda: dreamer(BLIND), "no decoder")]
)
def test_who_does_not_dream_says_why(policy: Any, reason: str) -> None:
    env, pictures = make_env({"id": CHOICE}, render_mode="rgb_array"), Pictures()
    with pytest.raises(OptionError, match=reason):
        film_dream(policy(), env, pictures.append, greedy=True, seed=0, horizon=3)
    env.close()
    assert not pictures


@pytest.mark.parametrize("config", [CONFIG, BLIND], ids=["decoder", "none"])
def test_a_new_best_has_a_film_of_its_dream(config: DreamerConfig, tmp_path: Path) -> None:
    algorithm = ChoiceDreamer()
    run = RunDir.create(tmp_path / "run", trainer="dreamer", config=config)
    player = EvaluationPlayer(algorithm, config, SPACES, CPU)
    weights = algorithm.player(algorithm.learner(config, SPACES)).state_dict()
    result, _ = player.evaluate(weights, 10)
    for step, best in ((10, None), (20, result.score)):
        player.record(run.videos_path, weights, step, result, best)
    videos = dict(read_videos(run.videos_path)[0])
    films = {path.name: record for path, record in videos.items() if record.ahead}
    games = [record for record in videos.values() if not record.ahead]
    assert games[0].step == 10
    if config is BLIND:
        assert not films
        return
    ((name, film),) = films.items()
    assert (name, film.step, film.ahead, film.kind) == ("step-10-dream.mp4", 10, AHEAD, "dream")
    assert film.episode == games[0].episode
    reader = imageio.get_reader(run.videos_path / name)
    assert reader.get_meta_data()["size"] == (1024, 288)
    assert len([*reader.iter_data()]) == film.episode.steps + 1
    check_tensorboard(run, len(games))


def check_tensorboard(run: RunDir, games: int) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    TensorBoardRun(run, RunMetrics()).close()
    events = EventAccumulator(str(run.tensorboard_path), size_guidance={"images": 0})
    events.Reload()
    assert len(events.Images("video")) == games
    (dream,) = events.Images("dream")
    assert (dream.step, dream.width, dream.height) == (10, 512, 144)
