"""PPO's loss, rollouts and learner on a corridor whose solution is known."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.acting.plugin_policy import trained_policy
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.learner import PPOLearner
from mario_agents.algos.ppo.loss import ppo_loss
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.gradients import GradientComputer
from mario_agents.nn.actor_critic import PolicyValue
from mario_agents.nn.recurrent import CoreState, NoCore
from mario_agents.telemetry.episodes import CollectResult
from mario_agents.testing.corridor import CORRIDOR, RIGHT

CPU = torch.device("cpu")
PLACE = WorkerContext(worker=0, workers=1, seed=0, start=0, generation=0, device=CPU)
CONFIG = PPOConfig(
    num_envs=4,
    rollout_steps=16,
    minibatch_size=16,
    hidden=16,
    network="mlp",
    observation="pixels",
    precision="float32",
    device="cpu",
)


class Table(nn.Module):
    """Logits and a value for each place: reads the place off the brightness of the last frame."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(places, 3))
        self.value = nn.Parameter(torch.linspace(1.0, 2.0, places))
        self.core = NoCore(0)

    def unroll(self, obs: torch.Tensor, state: CoreState, is_first: torch.Tensor) -> PolicyValue:
        place = obs[:, :, -1, 0, 0].long() // 20
        return PolicyValue(self.logits[place], self.value[place], state)


class Recorder(gymnasium.vector.VectorWrapper):
    """Remembers every step, and where each environment was before and after it."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.steps: list[dict[str, np.ndarray]] = []

    def reset(self, **kwargs: Any) -> Any:
        self._context, info = self.env.reset(**kwargs)
        return self._context, info

    def step(self, actions: Any) -> Any:
        before = place_of(self._context)
        obs, reward, terminated, truncated, info = self.env.step(actions)
        after = place_of(obs)
        for env in np.flatnonzero(terminated | truncated):
            after[env] = place_of(info["final_obs"][env][None])[0]
        self.steps.append(
            {"before": before, "after": after, "action": np.array(actions), "reward": reward}
            | {"terminated": terminated, "truncated": truncated}
        )
        self._context = obs
        return obs, reward, terminated, truncated, info


def place_of(obs: np.ndarray) -> np.ndarray:
    return obs[:, -1, 0, 0].astype(int) // 20


class Player:
    """Plays rollouts into a dataset."""

    def __init__(self, config: PPOConfig, envs: Any, model: Table) -> None:
        algorithm, learner = PPOAlgorithm(), PPOLearner(model, config)
        self._steps = algorithm.collect_steps(config)
        self._actor = Actor(envs, algorithm.policy(config, learner, PLACE), seed=0)
        self.dataset = algorithm.dataset(config, learner, Spaces.of(envs), PLACE)

    def collect(self) -> CollectResult:
        return self._actor.collect(self._steps, 0, lambda step: self.dataset.add(step, worker=0))

    def batches(self, at: int = 0) -> list[Any]:
        return list(self.dataset.batches(at))


def player(config: PPOConfig = CONFIG, **env: Any) -> tuple[Player, Recorder, Table]:
    recorder = Recorder(make_vector({"id": CORRIDOR, "length": 5, **env}, config.num_envs))
    model = Table(6)
    return Player(config, recorder, model), recorder, model


def test_advantages_of_a_rollout_are_those_of_its_transitions():
    """Every transition by a loop of its own; random play is cut off most of the time."""
    config = dataclasses.replace(CONFIG, epochs=1)
    playing, recorder, model = player(config, limit=6)
    collected = playing.collect()
    values = model.value.detach().numpy()
    assert collected.steps == 64
    assert len(recorder.steps) == 16
    assert any(step["truncated"].any() for step in recorder.steps)
    assert any(step["terminated"].any() for step in recorder.steps)
    expected = []
    for env in range(4):
        running = 0.0
        for step in reversed(recorder.steps):
            terminated, truncated = step["terminated"][env], step["truncated"][env]
            following = 0.0 if terminated else values[step["after"][env]]
            value = values[step["before"][env]]
            if terminated or truncated:
                running = 0.0
            delta = step["reward"][env] + config.gamma * following - value
            running = delta + config.gamma * config.gae_lambda * running
            expected.append((step["before"][env], int(step["action"][env]), running, value))
    got = [
        (place, int(action), advantage, value)
        for batch in playing.batches()
        for place, action, advantage, value in zip(
            place_of(batch["obs"][0]),
            batch["action"][0],
            batch["advantage"][0],
            batch["old_value"][0],
            strict=True,
        )
    ]
    np.testing.assert_allclose(sorted(got), sorted(expected), atol=1e-5)


def test_minibatches_go_through_the_rollout_once_an_epoch_in_another_order():
    playing, _, model = player()
    playing.collect()
    batches = playing.batches()
    assert len(batches) == 3 * 4
    epochs = [
        np.concatenate([batch["advantage"][0] for batch in batches[start : start + 4]])
        for start in (0, 4, 8)
    ]
    assert all(np.array_equal(np.sort(epochs[0]), np.sort(epoch)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    assert playing.batches() == []
    for batch in batches:
        said = model.unroll(torch.from_numpy(batch["obs"]), {}, torch.zeros(1, 16))
        log_prob = said.logits[0].log_softmax(1)[torch.arange(16), batch["action"][0]]
        torch.testing.assert_close(log_prob, torch.from_numpy(batch["old_log_prob"][0]))
        target = batch["advantage"] + batch["old_value"]
        np.testing.assert_allclose(batch["value_target"], target, rtol=1e-5)


def test_a_lost_life_is_the_end_even_if_the_game_goes_on():
    """Like a termination, it leaves nothing to come; like none, the next step is not a new game."""

    class GoesOn(gymnasium.vector.VectorWrapper):
        def step(self, actions: Any) -> Any:
            obs, reward, terminated, truncated, info = self.env.step(actions)
            for env in np.flatnonzero(terminated):
                info["final_info"]["life_lost"][env] = True
            lost = {"life_lost": terminated.copy(), "_life_lost": np.ones(4, bool)}
            return obs, reward, terminated & False, truncated, info | lost

    config = dataclasses.replace(CONFIG, epochs=1)
    plain, _, _ = player(config)
    plain.collect()
    recorder = GoesOn(make_vector({"id": CORRIDOR, "length": 5}, 4))
    other = Player(config, recorder, Table(6))
    collected = other.collect()
    for ours, theirs in zip(plain.batches(), other.batches(), strict=True):
        np.testing.assert_array_equal(ours["advantage"], theirs["advantage"])
    assert len(collected.deaths) >= 1


def test_advantages_are_normalized_over_the_rollout_if_asked():
    config = dataclasses.replace(CONFIG, normalize_advantage="rollout", epochs=1)
    playing, _, _ = player(config)
    playing.collect()
    advantage = np.concatenate([batch["advantage"][0] for batch in playing.batches()])
    assert advantage.mean() == pytest.approx(0, abs=1e-6)
    assert advantage.std() == pytest.approx(1, abs=1e-4)


def test_target_kl_leaves_the_rest_of_the_batches():
    playing, _, _ = player(dataclasses.replace(CONFIG, target_kl=0.02))
    playing.collect()
    batches = playing.dataset.batches(0)
    for kl in (0.01, 0.019, 0.021):
        playing.dataset.feedback(next(batches), {"approx_kl": torch.tensor(kl)})
    assert list(batches) == []
    playing.collect()
    assert len(playing.batches()) == 12


def test_the_entropy_bonus_follows_its_schedule():
    config = dataclasses.replace(
        CONFIG, entropy_coef=0.02, entropy_coef_end=0.0, total_steps=1000, epochs=1
    )
    playing, _, _ = player(config)
    for step, coefficient in ((0, 0.02), (500, 0.01), (1000, 0.0)):
        playing.collect()
        for batch in playing.batches(step):
            assert batch["entropy_coef"] == pytest.approx(coefficient)


def test_explained_variance_is_measured_on_what_the_values_said_before():
    playing, _, model = player()
    with torch.no_grad():
        model.value.zero_()
    playing.collect()
    playing.batches()
    assert playing.dataset.gauges()["explained_variance"] == pytest.approx(0, abs=1e-6)


def test_the_loss_is_the_sum_of_its_parts():
    generator = torch.Generator().manual_seed(0)
    logits, value = torch.randn(6, 3, generator=generator), torch.randn(6, generator=generator)
    batch = {
        "action": torch.tensor([0, 1, 2, 0, 1, 2]),
        "old_log_prob": torch.randn(6, generator=generator) - 1,
        "advantage": torch.randn(6, generator=generator),
        "value_target": torch.randn(6, generator=generator),
        "old_value": value + 0.1,
        "entropy_coef": torch.full((6,), 0.03),
    }
    options = {"clip": 0.2, "value_coef": 0.7, "value_clip": None, "value_huber": None}
    said = PolicyValue(logits.view(3, 2, 3), value.view(3, 2), {})
    batch = {name: column.view(3, 2) for name, column in batch.items()}
    result = ppo_loss(said, batch, normalize=False, **options)
    expected = []
    for i in range(6):
        probability = logits[i].softmax(0)
        flat = {name: column.flatten()[i] for name, column in batch.items()}
        ratio = probability[flat["action"]] / flat["old_log_prob"].exp()
        advantage = flat["advantage"]
        gain = min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        error = (value[i] - flat["value_target"]) ** 2 / 2
        entropy = -(probability * probability.log()).sum()
        expected.append(float(-gain + 0.7 * error - 0.03 * entropy))
    assert result.loss.item() == pytest.approx(np.mean(expected), abs=1e-5)
    normalized = ppo_loss(said, batch, normalize=True, **options)
    assert normalized.policy_loss.item() != pytest.approx(result.policy_loss.item())


def test_actions_are_nearly_equally_likely_at_first():
    learner = PPOAlgorithm().learner(
        dataclasses.replace(CONFIG, hidden=64), Spaces(OBS.obs_shape, 7)
    )
    obs = torch.randint(256, (1, 32, *OBS.obs_shape)).to(torch.uint8)
    probability = learner.evaluate(obs, {}, torch.ones(1, 32, dtype=torch.bool)).logits.softmax(2)
    assert probability.min() > 0.12
    assert probability.max() < 0.17


def test_bfloat16_judges_nearly_alike_and_learns_in_float32():
    learner = PPOAlgorithm().learner(dataclasses.replace(CONFIG, network="small"), OBS)
    low = PPOLearner(learner.model, dataclasses.replace(CONFIG, precision="bfloat16"))
    obs = torch.randint(256, (1, 8, *OBS.obs_shape)).to(torch.uint8)
    first = torch.ones(1, 8, dtype=torch.bool)
    ours, theirs = learner.evaluate(obs, {}, first), low.evaluate(obs, {}, first)
    assert theirs.logits.dtype == theirs.value.dtype == torch.float32
    torch.testing.assert_close(ours.value, theirs.value, atol=0.05, rtol=0.05)
    assert not torch.equal(ours.value, theirs.value)
    gradient = torch.autograd.grad(theirs.value.sum(), learner.model.trunk.weight)[0]
    assert gradient.dtype == torch.float32


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_is_evaluated_in_the_precision_that_it_learns_in(precision):
    config = dataclasses.replace(CONFIG, network="small", precision=precision)
    learner = PPOAlgorithm().learner(config, OBS)
    computed = []
    learner.model.trunk.register_forward_hook(lambda *args: computed.append(args[-1].dtype))
    policy = trained_policy(PPOAlgorithm(), config, learner, CPU)
    policy.act(np.zeros((2, *OBS.obs_shape), np.uint8), greedy=True)
    obs = torch.zeros((1, 2, *OBS.obs_shape), dtype=torch.uint8)
    learner.evaluate(obs, {}, torch.ones(1, 2, dtype=torch.bool))
    assert computed == [getattr(torch, precision)] * 2


OBS = Spaces((4, 36, 36), 3)


@pytest.mark.parametrize("network", ["mlp", "small"])
@pytest.mark.slow
def test_it_learns_the_corridor(network):
    config = dataclasses.replace(CONFIG, network=network, lr=3e-3, lr_min=3e-3)
    algorithm = PPOAlgorithm()
    envs = make_vector({"id": CORRIDOR, "length": 5}, 4)
    learner = algorithm.learner(config, Spaces.of(envs))
    playing = Player(config, envs, learner.model)
    updater = algorithm.updater(config, learner)
    computer = GradientComputer(learner, CPU)
    successes = []
    for _ in range(60):
        successes += [episode.flags > 0 for episode in playing.collect().episodes]
        for batch in playing.dataset.batches(0):
            playing.dataset.feedback(batch, computer.add(batch))
            updater.apply(computer.take())
    assert np.mean(successes[:20]) < 0.5
    assert np.mean(successes[-20:]) > 0.9
    policy = trained_policy(algorithm, config, learner, CPU)
    obs = envs.reset()[0]
    assert policy.act(obs, greedy=True).tolist() == [RIGHT] * 4
    sampled = np.concatenate([policy.act(obs, greedy=False) for _ in range(50)])
    assert (sampled == RIGHT).mean() > 0.8
    envs.close()
