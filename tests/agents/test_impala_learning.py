"""What IMPALA and A3C learn from unrolls, and that what was recorded in play fits."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.impala.algorithm import A3CAlgorithm
from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.impala.dataset import ImpalaUnrolls
from mario_agents.algos.impala.learner import ImpalaLearner
from mario_agents.algos.impala.loss import impala_loss
from mario_agents.algos.impala.unrolled import Unrolled, unrolled
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.gradients import DeviceBatch, GradientComputer
from mario_agents.core.types import Batch
from mario_agents.ops.policy_gradient import action_log_prob
from mario_agents.testing.corridor import CORRIDOR
from tests.agents.cue_game import CUE
from tests.agents.memory_players import SMALL, assert_memory_wins, disturb

CPU = torch.device("cpu")
CORES = ["none", "gru", "lstm", "transformer"]
CONFIG = ImpalaConfig(
    num_envs=6,
    rollout_steps=7,
    replay_share=0.0,
    lr=1e-3,
    **SMALL,
)


class Player:
    """A learner, the policy that plays with it in the corridor, and where its steps go."""

    def __init__(self, config: ImpalaConfig, **env_kwargs: Any) -> None:
        algorithm, context = A3CAlgorithm(), WorkerContext(0, 1, 0, 0, 0, CPU)
        env_kwargs = {"id": CORRIDOR, "length": 4, "limit": 9, "size": 4, **env_kwargs}
        self.envs = make_vector(env_kwargs, config.num_envs)
        spaces = Spaces.of(self.envs)
        self.config, self.learner = config, algorithm.learner(config, spaces)
        self.policy = algorithm.policy(config, self.learner, context)
        self.actor = Actor(self.envs, self.policy, seed=0)
        self.dataset: ImpalaUnrolls = algorithm.dataset(config, self.learner, spaces, context)
        self.updater = algorithm.updater(config, self.learner)
        self.steps: list[Any] = []

    def collect(self) -> Any:
        def keep(step: Any) -> None:
            self.steps.append(step)
            self.dataset.add(step, 0)

        return self.actor.collect(A3CAlgorithm().collect_steps(self.config), 0, keep)

    def batches(self) -> list[DeviceBatch]:
        return [DeviceBatch(self.learner, batch, CPU) for batch in self.dataset.batches(0)]


def test_old_unrolls_are_of_all_workers_together() -> None:
    config = dataclasses.replace(CONFIG, replay_share=0.5, replay_size=5_000)
    assert config.storage_steps(1) == config.storage_steps(4) == 5_000
    few = dataclasses.replace(config, replay_size=1)
    assert few.storage_steps(4) == 4 * few.storage_steps(1) >= 4 * 2 * 6 * 7


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("core", CORES)
def test_at_lag_0_the_learner_says_what_was_recorded(core, noisy):
    player = Player(dataclasses.replace(CONFIG, recurrent_type=core, noisy=noisy), limit=3)
    disturb(player.learner.model)
    truncated = 0
    for _ in range(4):
        player.collect()
        (batch,) = player.batches()
        truncated += int(batch["truncated"].sum())
        now = unrolled(player.learner.model, batch)
        action = batch["action"].flatten()
        ours, recorded = (
            action_log_prob(logits.flatten(0, 1), action)
            for logits in (now.logits, batch["logits"])
        )
        torch.testing.assert_close(ours, recorded, rtol=0, atol=2e-6)
        assert recorded.std() > 0.05
        measured = player.learner.compute_loss(batch)[1]
        assert measured["kl"] < 1e-6
        assert measured["rho"] == pytest.approx(1.0, abs=1e-5)
    assert truncated


@pytest.mark.parametrize("core", CORES)
def test_what_bfloat16_changes_in_ratios_is_little_and_is_measured(core):
    """An actor that computes in float32, and a learner that does not."""
    config = dataclasses.replace(CONFIG, recurrent_type=core, network="small", noisy=True)
    player = Player(config, size=16)
    disturb(player.learner.model)
    low = ImpalaLearner(player.learner.model, dataclasses.replace(config, precision="bfloat16"))
    player.collect()
    (batch,) = player.batches()
    exact, measured = player.learner.compute_loss(batch)[1], low.compute_loss(batch)[1]
    with torch.autocast("cpu", torch.bfloat16):
        now = unrolled(low.model, batch)
    action = batch["action"].flatten()
    ours, recorded = (
        action_log_prob(logits.flatten(0, 1), action).view(batch["action"].shape)
        for logits in (now.logits, batch["logits"])
    )
    difference = (ours - recorded).detach().abs()
    assert exact["rounding"] == 0
    assert measured["rounding"] == pytest.approx(float(difference[:, 0].mean()), abs=2e-6)
    assert 0 < difference.max() < 0.1
    assert measured["rho"] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("core", CORES)
def test_values_of_last_observations_are_those_of_playing_on(core):
    """What the policy itself would say about every observation that a step led to."""
    player = Player(dataclasses.replace(CONFIG, recurrent_type=core, noisy=True), limit=3)
    disturb(player.learner.model)
    for _ in range(4):
        player.steps.clear()
        player.collect()
        (batch,) = player.batches()
        now = unrolled(player.learner.model, batch)
        never = torch.zeros(CONFIG.num_envs, dtype=torch.bool)
        state = player.learner.model.core.state_of(batch)
        for t, step in enumerate(player.steps):
            noise = torch.from_numpy(step.extras["noise"])
            obs, first = torch.from_numpy(step.obs), torch.from_numpy(step.is_first)
            said = player.learner.evaluate(obs, state, first, noise)
            state = said.state
            torch.testing.assert_close(now.value[t], said.value[0], rtol=1e-4, atol=1e-5)
            last = torch.from_numpy(step.final_obs)
            value = player.learner.evaluate(last, state, never, noise).value[0]
            cut = torch.from_numpy(step.truncated)
            torch.testing.assert_close(now.final_value[t][cut], value[cut], rtol=1e-4, atol=1e-5)
            assert not now.final_value[t][~cut].any()
        on = ~torch.from_numpy(step.terminated | step.truncated)
        torch.testing.assert_close(now.value[-1][on], value[on], rtol=1e-4, atol=1e-5)


def test_noise_is_one_draw_for_an_unroll_and_each_game_and_off_when_greedy():
    player = Player(dataclasses.replace(CONFIG, noisy=True, recurrent_type="gru"))
    for _ in range(2):
        player.collect()
    noise = np.stack([step.extras["noise"] for step in player.steps])
    unroll = CONFIG.rollout_steps
    assert (noise[:unroll] == noise[0]).all()
    assert (noise[unroll:] == noise[unroll]).all()
    assert len(np.unique(noise[:, :, 0])) == 2 * CONFIG.num_envs
    first, second = player.batches()
    assert np.array_equal(first["noise"], noise[0])
    assert np.array_equal(second["noise"], noise[unroll])
    obs, is_first = torch.from_numpy(player.steps[0].obs), torch.ones(6, dtype=torch.bool)
    state, saying = player.policy.initial(6), player.learner.evaluate
    plain = saying(obs, state["core"], is_first, None).logits[0]
    for mode in ("greedy", "sample"):
        action, kept, after = player.policy.act(obs, state, is_first, mode=mode, step=0)
        assert not after["noise"].any()
        assert torch.equal(action, plain.argmax(dim=1)) or mode == "sample"
    assert torch.equal(kept["logits"], plain)


def invented(config: ImpalaConfig) -> tuple[Unrolled, Batch]:
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng)

    steps, games = 5, 3
    logits = normal(steps, games, 4)
    batch = {
        "action": torch.randint(4, (steps, games), generator=rng),
        "reward": normal(steps, games),
        "terminated": normal(steps, games) > 1.5,
        "truncated": torch.zeros(steps, games, dtype=torch.bool),
        "logits": logits + 0.5 * normal(steps, games, 4),
        "weight": torch.tensor([1.0, 0.5, 0.25]),
        "entropy_beta": torch.full((games,), 0.03),
        "is_replayed": torch.tensor([False, True, True]),
    }
    value = normal(steps + 1, games)
    return Unrolled(logits, value, torch.zeros(steps, games)), batch


def test_steps_outside_of_the_trust_region_count_nothing():
    config = dataclasses.replace(CONFIG, trust_region=0.05, normalize_advantage="none")
    now, batch = invented(config)
    ratio = (now.logits.log_softmax(2) - batch["logits"].log_softmax(2)) * now.logits.softmax(2)
    inside = ratio.sum(2) <= 0.05
    assert 0 < inside.sum() < inside.numel()
    logits, value = now.logits.clone().requires_grad_(), now.value.clone().requires_grad_()
    result = impala_loss(Unrolled(logits, value, now.final_value), batch, config)
    of_logits, of_value = torch.autograd.grad(result.loss, [logits, value])
    assert torch.equal((of_logits != 0).any(dim=2), inside)
    assert not of_value[:-1][~inside].any()
    assert result.trusted == pytest.approx(float(inside.float().mean()))


@pytest.mark.parametrize("normalize", ["none", "batch"])
def test_an_action_that_would_not_be_taken_any_more_counts_nothing(normalize: str):
    """Its ratio is 0, whatever the advantages are made to."""
    config = dataclasses.replace(CONFIG, trust_region=None, normalize_advantage=normalize)
    now, batch = invented(config)
    batch["entropy_beta"] = torch.zeros(3)
    logits = now.logits.clone()
    for game in range(3):
        logits[2, game, batch["action"][2, game]] = -40.0
    logits.requires_grad_()
    result = impala_loss(Unrolled(logits, now.value, now.final_value), batch, config)
    (gradient,) = torch.autograd.grad(result.loss, [logits])
    assert gradient[2].abs().max() < 1e-12
    assert gradient[1].abs().max() > 1e-3


def test_with_a_clip_an_action_gains_nothing_beyond_a_share_of_its_old_probability():
    config = dataclasses.replace(
        CONFIG, pg_clip=0.2, returns="gae", trace_lambda=0.0, normalize_advantage="none"
    )
    now, batch = invented(config)
    batch["entropy_beta"] = torch.zeros(3)
    logits = now.logits.clone().requires_grad_()
    result = impala_loss(Unrolled(logits, now.value, now.final_value), batch, config)
    (gradient,) = torch.autograd.grad(result.loss, [logits])
    moves = (gradient.abs() > 1e-9).any(dim=2)
    following = torch.where(batch["terminated"], 0.0, now.value[1:])
    advantage = batch["reward"] + config.gamma * following - now.value[:-1]
    change = now.logits.log_softmax(2) - batch["logits"].log_softmax(2)
    ratio = change.gather(2, batch["action"][..., None]).squeeze(2).exp()
    gained = torch.where(advantage > 0, ratio > 1.2, ratio < 0.8)
    assert 0 < gained.sum() < gained.numel()
    assert torch.equal(moves, ~gained)
    outside = (ratio - 1).abs() > 0.2
    assert result.clip_fraction == pytest.approx(float(outside.float().mean()))


def test_the_loss_is_the_sum_of_its_parts_and_the_target_is_gae_if_asked():
    config = dataclasses.replace(CONFIG, returns="gae", normalize_advantage="none", gamma=0.8)
    now, batch = invented(config)
    result = impala_loss(now, batch, config)
    total, errors = 0.0, np.zeros((5, 3))
    for b in range(3):
        running = 0.0
        for t in reversed(range(5)):
            on = 0.0 if batch["terminated"][t, b] else 1.0
            delta = batch["reward"][t, b] + 0.8 * on * now.value[t + 1, b] - now.value[t, b]
            running = float(delta) + 0.8 * 0.95 * on * running
            probability = now.logits[t, b].softmax(0)
            gain = probability[batch["action"][t, b]].log() * running
            entropy = -(probability * probability.log()).sum()
            size = abs(running)
            error = size - 0.5 if size > 1 else 0.5 * size**2
            total += float(batch["weight"][b] * (-gain + 0.5 * error - 0.03 * entropy))
            errors[t, b] = size
    assert result.loss.item() == pytest.approx(total / 15, abs=1e-5)
    np.testing.assert_allclose(result.priority, errors.mean(axis=0), rtol=1e-4)


def test_divergence_is_measured_of_new_and_old_unrolls():
    now, batch = invented(CONFIG)
    result = impala_loss(now, batch, CONFIG)
    difference = now.logits.log_softmax(2) - batch["logits"].log_softmax(2)
    moved = (difference * now.logits.softmax(2)).sum(2).mean(0)
    assert result.kl == pytest.approx(float(moved[0]), rel=1e-4)
    assert result.kl_old == pytest.approx(float(moved[1:].mean()), rel=1e-4)
    ratio = difference.gather(2, batch["action"][..., None]).exp()
    assert result.rho == pytest.approx(float(ratio.clamp(max=1).mean()), rel=1e-4)


def test_old_unrolls_come_beside_new_ones():
    player = Player(dataclasses.replace(CONFIG, replay_share=0.75, per=True, replay_size=1_000))
    for _ in range(3):
        player.collect()
        (batch,) = player.batches()
        assert batch["is_replayed"].tolist() == [False] * 6 + [True] * 18
        loss, measured = player.learner.compute_loss(batch)
        player.dataset.feedback({n: t.numpy() for n, t in batch.items()}, measured)
        assert torch.isfinite(loss)
    assert player.dataset.gauges()["buffer_size"] == 3 * 6 * 7
    assert len(np.unique(player.dataset._priority[player.dataset._start >= 0])) > 6


@pytest.mark.parametrize("options", [
    {"recurrent_type": "gru", "replay_share": 0.5, "trust_region": 0.5},
    {"noisy": True, "entropy_beta": 0.0, "entropy_beta_end": 0.0},
    {"optimizer": "rmsprop", "returns": "gae", "lr": 0.1},
], ids=["replay", "noise", "rmsprop"])  # fmt: skip
def test_it_learns_the_corridor(options):
    player = Player(dataclasses.replace(CONFIG, **{"lr": 1e-2, "hidden": 32, **options}))
    computer, successes = GradientComputer(player.learner, CPU), []
    for _ in range(80):
        successes += [episode.flags > 0 for episode in player.collect().episodes]
        for batch in player.dataset.batches(0):
            player.dataset.feedback(batch, computer.add(batch))
            player.updater.apply(computer.take())
    assert np.mean(successes[:20]) < 0.5
    assert np.mean(successes[-30:]) > 0.9


class CueAlgorithm(A3CAlgorithm):
    """A3C in a game that only memory wins."""

    def env_kwargs(self, config: ImpalaConfig) -> dict[str, Any]:
        return {"id": CUE}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.slow
def test_every_core_wins_the_game_that_only_memory_wins(core, tmp_path: Path):
    config = dataclasses.replace(
        CONFIG, recurrent_type=core, total_steps=6_400, num_envs=16, rollout_steps=8, hidden=32,
        gamma=0.95, lr=1e-2, frame_stack=1,
    )  # fmt: skip
    assert_memory_wins(CueAlgorithm(), config, tmp_path / "run")
