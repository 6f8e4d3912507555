"""Dreamer: what reaches what, what is stored, and that it learns to remember."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mario_agents.acting.environments import make_env
from mario_agents.acting.plugin_policy import PluginPolicy
from mario_agents.algos.dreamer import networks
from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.algos.dreamer.batch import time_first
from mario_agents.algos.dreamer.behaviour import (
    ImaginationNoise,
    behaviour_loss,
    imagine,
    replay_critic_loss,
)
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.learner import DreamerLearner
from mario_agents.algos.dreamer.sizes import SIZES, Size
from mario_agents.algos.dreamer.world_loss import world_loss
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.gradients import trainable
from mario_agents.core.policy import DreamingPolicy
from mario_agents.core.types import Batch, Step
from mario_agents.evaluation.evaluate import EvalProtocol, evaluate
from mario_agents.nn.flat import TileInputs
from mario_agents.nn.rssm import Latent
from mario_agents.ops.two_hot import two_hot_mean
from mario_agents.playback.dream import film_dream
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.run import train
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.testing.conformance import check_algorithm
from mario_envkit.errors import ConfigError, OptionError
from tests.agents.choice_game import CHOICE, SHUFFLED

CONFIG = DreamerConfig(
    observation="pixels",
    total_steps=256,
    num_envs=4,
    batch_size=4,
    batch_length=6,
    train_ratio=12.0,
    learning_starts=128,
    buffer_size=2_000,
    imagined=12,
    horizon=4,
    lr=2e-3,
    lr_warmup=10,
    eval_interval=0,
    precision="float32",
    device="cpu",
    ui=False,
)
SPACES = Spaces((3,), 2)


class ChoiceDreamer(DreamerAlgorithm):
    """Dreamer in a game that only memory wins."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CHOICE}


class ShuffledDreamer(DreamerAlgorithm):
    """Dreamer in a game that nothing wins."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": SHUFFLED}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "tiles", Size(64, 8, 8, 64, 64, 4, 4, 1, 1, 1, 1))


@pytest.fixture
def learner() -> DreamerLearner:
    return DreamerAlgorithm().learner(CONFIG, SPACES)


def random_batch(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    shape = (CONFIG.batch_size, CONFIG.batch_length + 1)
    is_first, is_last = rng.random((2, *shape)) < 0.2
    arrays = {
        "obs": rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        "action": rng.integers(2, size=shape),
        "reward": rng.normal(size=shape).astype(np.float32),
        "is_first": is_first & ~is_last,
        "is_last": is_last,
        "is_terminal": is_last & (rng.random(shape) < 0.5),
        "deter": rng.uniform(-1, 1, (*shape, 64)).astype(np.float16),
        "stoch": rng.integers(8, size=(*shape, 8), dtype=np.uint8),
        "seed": rng.integers(2**62),
    }
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


def reached(loss: Tensor, learner: DreamerLearner) -> set[str]:
    """The parts of the model that a loss has a gradient in."""
    model = learner.model
    parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, [p for _, p in parameters], allow_unused=True)
    found = set()
    for (name, _), gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and gradient.any():
            parts = name.split(".")
            found.add(".".join(parts[:2]) if parts[0] == "world" else parts[0])
    return found


def test_no_gradient_leaves_the_part_that_it_is_for(learner: DreamerLearner) -> None:
    model, config = learner.model, CONFIG
    with torch.no_grad():  # what begins as zero passes no gradients on
        for head in (model.critic, model.world.reward):
            head[-1].weight.normal_(std=0.1)
    replayed = time_first(random_batch(), model.world.rssm)
    noise = torch.rand(*replayed.reward.shape, 8)
    weights = {"gamma": 0.9, "free_nats": 0.0, "dynamics": 1.0, "representation": 0.1}
    world = world_loss(model, replayed, noise, **weights)
    parts = {"world.senses", "world.rssm", "world.reward", "world.going_on"}
    assert reached(world.loss, learner) == parts
    world = world_loss(model, replayed, noise, **weights)
    start = torch.arange(5)
    latent = Latent(*(part.flatten(0, 1)[start] for part in world.latent))
    imagined = imagine(
        model, latent, ImaginationNoise(torch.rand(4, 5, 8), torch.rand(4, 5)), uniform=0.01
    )
    assert not any(part.requires_grad for part in imagined)
    behaviour = behaviour_loss(
        model,
        imagined,
        lam=0.95,
        entropy_coef=0.01,
        uniform=0.01,
        slow_regularizer=1.0,
        range_rate=0.01,
    )
    assert reached(behaviour.actor, learner) == {"actor"}
    assert reached(behaviour.critic, learner) == {"critic"}
    loss, _ = replay_critic_loss(
        model,
        replayed,
        world.features,
        start,
        behaviour.returns,
        gamma=config.gamma,
        lam=0.95,
        slow_regularizer=1.0,
    )
    assert reached(loss, learner) == {"critic", "world.senses", "world.rssm"}


def test_sequences_of_a_batch_do_not_influence_one_another(learner: DreamerLearner) -> None:
    batch = dict(random_batch())
    _, before = learner.compute_loss(batch)
    batch["obs"] = batch["obs"].clone()
    batch["obs"][0] = 255 - batch["obs"][0]
    _, after = learner.compute_loss(batch)
    assert torch.equal(before["deter"][1:], after["deter"][1:])
    assert not torch.equal(before["deter"][0], after["deter"][0])


def test_one_batch_has_one_loss_and_refreshed_states(learner: DreamerLearner) -> None:
    batch = random_batch()
    with torch.no_grad():  # at first no reward is expected
        learner.model.world.reward[-1].weight.normal_()
    range_before = learner.model.return_range.clone()
    loss, measured = learner.compute_loss(batch)
    assert torch.equal(measured["deter"][:, 0], batch["deter"][:, 0])
    assert measured["deter"].shape == batch["deter"].shape
    assert measured["stoch"].dtype == torch.uint8
    assert not torch.equal(measured["deter"], batch["deter"])
    assert {"wm_loss", "actor_loss", "critic_loss", "wm_recon_mse"} <= set(measured)
    named = {metric.name for metric in DreamerAlgorithm.metrics}
    assert {name for name, value in measured.items() if value.ndim == 0} <= named
    assert not torch.equal(learner.model.return_range, range_before)
    learner.model.return_range.copy_(range_before)
    again, _ = learner.compute_loss(batch)
    assert torch.equal(loss, again)


def test_at_first_nothing_is_expected_and_all_actions_are_alike(learner: DreamerLearner) -> None:
    features = torch.randn(5, learner.model.world.rssm.features)
    bins = learner.model.bins
    assert two_hot_mean(learner.model.critic(features), bins).tolist() == [0.0] * 5
    assert two_hot_mean(learner.model.world.reward(features), bins).tolist() == [0.0] * 5
    torch.testing.assert_close(
        learner.model.actor(features).softmax(-1), torch.full((5, 2), 0.5), atol=0.01, rtol=0
    )


def test_what_the_policy_keeps_is_where_replay_goes_on(learner: DreamerLearner) -> None:
    algorithm = DreamerAlgorithm()
    context = WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
    policy = algorithm.policy(CONFIG, learner, context)
    replay = algorithm.dataset(CONFIG, learner, SPACES, context)
    rng, state = np.random.default_rng(0), policy.initial(4)
    obs, is_first = rng.integers(0, 256, (4, 3), dtype=np.uint8), np.ones(4, np.bool_)
    for _ in range(40):
        action, kept, state = policy.act(
            torch.from_numpy(obs), state, torch.from_numpy(is_first), mode="explore", step=0
        )
        ended = rng.random(4) < 0.1
        following = rng.integers(0, 256, (4, 3), dtype=np.uint8)
        extras = {name: column.numpy() for name, column in kept.items()}
        reward = rng.normal(size=4).astype(np.float32)
        never = np.zeros(4, np.bool_)
        replay.add(Step(obs, action.numpy(), reward, ended, never, following, is_first, extras), 0)
        # After an end another game begins with another picture.
        other = rng.integers(0, 256, (4, 3), dtype=np.uint8)
        obs, is_first = np.where(ended[:, None], other, following), ended
    batch = {name: torch.as_tensor(array) for name, array in replay.draw(0).items()}
    replayed = time_first(batch, learner.model.world.rssm)
    seen = learner.model.world.senses
    tokens = seen.encoder(seen.inputs(replayed.obs.flatten(0, 1))).unflatten(0, (6, 4))
    with torch.no_grad():
        first = learner.model.world.rssm.observe(
            replayed.before, replayed.action, replayed.is_first, tokens, torch.rand(6, 4, 8)
        )
    # The memory after one more step is what the policy's was, but for its storage as float16.
    steps = ~replayed.is_last[0]
    torch.testing.assert_close(
        first.latent.deter[0][steps], batch["deter"][:, 1][steps].float(), atol=3e-3, rtol=0
    )


def test_it_keeps_what_an_algorithm_promises(tmp_path: Path) -> None:
    check_algorithm(ChoiceDreamer(), CONFIG, tmp_path)


def test_a_resumed_run_has_no_debt_and_says_how_far_it_is(tmp_path: Path) -> None:
    algorithm, context = DreamerAlgorithm(), WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
    learner = algorithm.learner(CONFIG, SPACES)
    policy = algorithm.policy(CONFIG, learner, context)

    def play(replay: Any, steps: int) -> int:
        state, drawn = policy.initial(4), 0
        never = np.zeros(4, np.bool_)
        for _ in range(steps):
            obs = np.zeros((4, 3), np.uint8)
            action, kept, state = policy.act(
                torch.from_numpy(obs), state, torch.from_numpy(never), mode="explore", step=0
            )
            extras = {name: column.numpy() for name, column in kept.items()}
            step = Step(
                obs, action.numpy(), np.zeros(4, np.float32), never, never, obs, never, extras
            )
            replay.add(step, 0)
            drawn += len(list(replay.batches(0)))
        return drawn

    first = algorithm.dataset(CONFIG, learner, SPACES, context)
    assert play(first, 16) == 0
    assert first.gauges()["filled"] == 0.5
    assert play(first, 16 + 100) == 100 * 4 // 2 + 2  # 12 observations of 24 for each step
    assert first.gauges()["filled"] == 1.0
    second = algorithm.dataset(CONFIG, learner, SPACES, context)
    second.restore({}, first.state())
    assert play(second, 33) <= 4  # it fills again; what came meanwhile is not made up for


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="imagined <= batch_size"):
        dataclasses.replace(CONFIG, imagined=25)
    with pytest.raises(ConfigError, match="buffer_size of at least"):
        dataclasses.replace(CONFIG, buffer_size=16)


def test_sizes_have_about_the_parameters_that_they_are_called_by() -> None:
    for name, millions in {"1m": 1.0, "12m": 12.0}.items():
        config = dataclasses.replace(CONFIG, observation="tiles", size=name)
        model = networks.build_model(config, Spaces((16, 16), 7))
        count = sum(parameter.numel() for parameter in trainable(model)) / 1e6
        assert 0.5 * millions < count < 1.5 * millions, (name, count)


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
@pytest.mark.parametrize("stack", [1, 2])
def test_what_is_seen_can_be_reconstructed(observation: str, stack: int) -> None:
    """From a few pictures a decoder learns these; pictures of odd size come back as large."""
    screen = (16, 16) if observation == "tiles" else (25, 34)
    shape = screen if stack == 1 else (stack, *screen)
    config = dataclasses.replace(CONFIG, observation=observation, frame_stack=stack)
    torch.manual_seed(0)
    senses = networks.build_senses(config, shape, SIZES["tiles"])
    obs = torch.randint(0, 20, (3, *shape), dtype=torch.uint8)
    if observation == "pixels":
        obs = obs * 12
    seen = senses.inputs(obs)
    features = torch.eye(128)[:3]
    optimizer = torch.optim.Adam(senses.parameters(), 3e-3)
    errors = []
    for _ in range(150):
        error = (senses.decoder(features) - seen).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.2 * errors[0]
    assert senses.encoder(seen).shape == (3, senses.tokens)
    pictures = senses.pictures(seen)
    assert pictures is not None
    assert pictures.shape[2:] == ((13, 16) if observation == "tiles" else screen)
    assert 0.0 <= pictures.min() <= pictures.max() <= 1.0


def test_the_smallest_pictures_are_refused() -> None:
    config = dataclasses.replace(CONFIG, observation="pixels")
    with pytest.raises(ConfigError, match="at least 16x16"):
        networks.build_senses(config, (15, 64), SIZES["tiles"])


@pytest.mark.parametrize("horizon", [1, 4, 50])
def test_a_dream_sees_nothing_between_two_looks(learner: DreamerLearner, horizon: int) -> None:
    context = WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
    policy = DreamerAlgorithm().policy(CONFIG, learner, context)
    assert isinstance(policy, DreamingPolicy)
    rng = np.random.default_rng(0)
    obs, action = rng.integers(0, 256, (10, 3), dtype=np.uint8), rng.integers(2, size=9)
    dream = policy.dream(obs, action, horizon)
    looked = dream.ahead == 0
    assert looked.sum() == -(-10 // horizon)
    assert np.array_equal(dream.prediction[looked], dream.reconstruction[looked])
    assert dream.prediction.shape == dream.reconstruction.shape == obs.shape
    assert dream.reward.shape == (10,)
    other = obs.copy()
    other[5] = 255 - other[5]
    changed = policy.dream(other, action, horizon)
    same = slice(4, 8) if horizon == 4 else slice(0, 5) if horizon == 1 else slice(None)
    assert np.array_equal(changed.prediction[same], dream.prediction[same])
    assert not np.array_equal(changed.reconstruction[5], dream.reconstruction[5])


def test_a_film_of_a_dream_has_a_picture_for_every_observation(learner: DreamerLearner) -> None:
    context = WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
    policy = PluginPolicy(DreamerAlgorithm().policy(CONFIG, learner, context))
    env = make_env({"id": CHOICE}, render_mode="rgb_array")
    pictures: list[np.ndarray[Any, Any]] = []
    episode = film_dream(policy, env, pictures.append, greedy=True, seed=0, horizon=3)
    assert len(pictures) == episode.steps + 1
    assert {picture.shape for picture in pictures} == {(288, 1024, 3)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    with pytest.raises(OptionError, match="world model"):
        film_dream(Noop(), env, pictures.append, greedy=True, seed=0, horizon=3)
    env.close()


class Noop:
    """A policy without a world model."""

    def reset(self, num_envs: int) -> None:
        """Nothing is remembered."""

    def act(self, observations: Any, *, greedy: bool) -> Any:
        return np.zeros(len(observations), np.int64)


def test_tiles_come_back_from_what_networks_see_of_them() -> None:
    env = make_env({"observation": "tiles", "level": "1-1", "frame_stack": 1})
    obs, _ = env.reset(seed=0)
    seen = [obs]
    for _ in range(60):
        obs, *_ = env.step(env.action_space.n - 1 if len(seen) % 3 else 1)
        seen.append(obs)
    env.close()
    pictures = torch.from_numpy(np.stack(seen))
    inputs = TileInputs(tuple(pictures.shape[1:]))
    assert torch.equal(inputs.undo(inputs(pictures)), pictures)


LEARNING = dataclasses.replace(
    CONFIG,
    total_steps=4_000,
    num_envs=8,
    batch_size=16,
    batch_length=12,
    train_ratio=64.0,
    learning_starts=256,
    imagined=64,
    lr=3e-3,
    entropy_coef=1e-2,
    buffer_size=4_000,
)


def success(algorithm: DreamerAlgorithm, path: Path) -> tuple[float, float]:
    """Greedy success after training, and the low end of its interval."""
    trainer = AlgorithmTrainer(algorithm, "")
    RunDir.create(path, trainer="dreamer", config=LEARNING)
    trainer.train(LEARNING, path, resume=False)
    policy = trainer.load_policy(LEARNING, path, device="cpu", weights="latest")
    rate = evaluate(
        policy, trainer.env_kwargs(LEARNING), EvalProtocol(episodes=40), max_envs=40
    ).success_rate
    return rate.mean, rate.high


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_a_synchronous_worker_does_what_one_in_this_process_does(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, size="1m")  # as it is in every process
    ends = []
    for name, options in (("local", {}), ("apart", {"workers": 1, "synchronous": True})):
        chosen = dataclasses.replace(config, **options)
        run = RunDir.create(tmp_path / name, trainer="dreamer", config=chosen)
        train(ChoiceDreamer(), chosen, run, resume=False)
        ends.append(CheckpointStore(run.checkpoint_path).load_latest())
    ours, theirs = ends
    assert ours.state["updater"] == theirs.state["updater"]
    assert ours.state["updater"]["updates"] > 50
    learned = [name for name in ours.tensors if name.startswith(("model.", "optimizer."))]
    assert "model.return_range" in learned
    for name in learned:
        assert torch.equal(ours.tensors[name], theirs.tensors[name]), name


@pytest.mark.slow
def test_it_learns_to_remember(tmp_path: Path) -> None:
    assert success(ChoiceDreamer(), tmp_path / "run")[0] == 1.0


@pytest.mark.slow
def test_where_the_reward_is_shuffled_it_does_not(tmp_path: Path) -> None:
    assert success(ShuffledDreamer(), tmp_path / "run")[0] < 0.9
