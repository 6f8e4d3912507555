"""What Ape-X adds to double DQN: many epsilons, and priorities that come with the steps."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.dqn.algorithm import ApexAlgorithm, DDQNAlgorithm
from mario_agents.algos.dqn.config import ApexConfig, DDQNConfig
from mario_agents.algos.dqn.trainer import APEX
from mario_agents.config import check_resume, make_config, to_plain
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.evaluation.evaluate import EvalProtocol, evaluate
from mario_agents.replay.transitions import transitions
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.testing.conformance import check_algorithm
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import load_trainer
from tests.agents.algorithms import ApexCorridorAlgorithm
from tests.agents.trained_run import rows, train

SMALL = ApexConfig(
    observation="pixels",
    frame_stack=4,
    train_every=4,
    total_steps=400,
    num_envs=4,
    learning_starts=64,
    buffer_size=600,
    batch_size=16,
    collect_steps=16,
    hidden=16,
    log_interval=80,
    checkpoint_interval=160,
    lr=1e-3,
    lr_warmup=10,
    ui=False,
)


def context(worker: int = 0, workers: int = 1, *, central: bool = False) -> WorkerContext:
    return WorkerContext(worker, workers, 0, 0, 0, torch.device("cpu"), central=central)


def policy_of(config: ApexConfig | DDQNConfig, where: WorkerContext):
    algorithm = ApexAlgorithm() if isinstance(config, ApexConfig) else DDQNAlgorithm()
    return algorithm.policy(config, algorithm.learner(config, Spaces((2, 16, 16), 3)), where)


@pytest.mark.parametrize(
    "config", [ApexConfig(num_envs=4), DDQNConfig(num_envs=4, exploration="apex")]
)
def test_the_games_of_all_workers_explore_as_the_paper_says(config):
    policies = [policy_of(config, context(worker, 3)) for worker in range(3)]
    epsilons = torch.cat([policy._epsilon(0) for policy in policies])
    expected = [0.4 ** (1 + 7 * i / 11) for i in range(12)]
    assert sorted(epsilons.tolist(), reverse=True) == pytest.approx(expected)
    # Every worker has some of those that explore much, and of those that hardly do.
    assert [float(policy._epsilon(0)[0]) for policy in policies] == pytest.approx(expected[:3])
    shown = np.concatenate([policy.shown(4) for policy in policies])
    assert epsilons[shown].tolist() == pytest.approx(expected[-3:])


def test_a_single_game_is_shown():
    policy = policy_of(ApexConfig(num_envs=1), context())
    assert policy.shown(1).tolist() == [True]
    assert policy._epsilon(0).tolist() == pytest.approx([0.4])
    assert policy_of(DDQNConfig(num_envs=5), context()).shown(5).all()


def test_epsilons_follow_their_options():
    config = ApexConfig(num_envs=3, epsilon_base=0.5, epsilon_alpha=2.0)
    assert policy_of(config, context())._epsilon(0).tolist() == pytest.approx([0.5, 0.25, 0.125])


def test_only_play_in_training_explores_and_keeps_values():
    config = ApexConfig(num_envs=300, epsilon_base=1.0, epsilon_alpha=0.0)
    policy = policy_of(config, context())
    obs = torch.randint(0, 30, (300, 2, 16, 16), dtype=torch.uint8)
    q = policy._model(obs).detach()
    action, kept, _ = policy.act(obs, (), torch.zeros(300), mode="explore", step=0)
    assert set(action.tolist()) == {0, 1, 2}
    assert torch.equal(kept["q_taken"], q[torch.arange(300), action])
    assert torch.equal(kept["q_best"], q.max(dim=1).values)
    action, kept, _ = policy.act(obs, (), torch.zeros(300), mode="greedy", step=0)
    assert torch.equal(action, policy._model(obs, network="target").argmax(dim=1))
    assert kept == {}


def test_episodes_of_games_that_explore_much_are_not_shown():
    config = dataclasses.replace(SMALL, num_envs=8)
    algorithm = ApexCorridorAlgorithm()
    envs = make_vector(algorithm.env_kwargs(config), 8)
    learner = algorithm.learner(config, Spaces.of(envs))
    policy = algorithm.policy(config, learner, context())
    episodes = Actor(envs, policy, seed=0).collect(400).episodes
    assert {episode.env for episode in episodes if episode.shown} == {6, 7}
    assert all(episode.shown == (episode.env >= 6) for episode in episodes)
    evaluation = Actor(envs, policy, seed=0, mode="greedy").collect(400).episodes
    assert all(episode.shown for episode in evaluation)
    envs.close()


def test_first_priorities_are_what_the_networks_that_played_would_say():
    """Two workers play with networks of their own into one replay buffer; the networks are asked
    again about every transition in it."""
    algorithm, config = ApexCorridorAlgorithm(), dataclasses.replace(SMALL, workers=2)
    players = []
    for worker in (0, 1):
        envs = make_vector(algorithm.env_kwargs(config), config.num_envs)
        own = dataclasses.replace(config, seed=worker)
        learner = algorithm.learner(own, Spaces.of(envs))
        actor = Actor(envs, algorithm.policy(own, learner, context(worker, 2)), seed=worker)
        players.append((actor, learner.model))
    place = context(workers=2, central=True)
    replay = algorithm.dataset(config, learner, Spaces.of(envs), place)
    for worker in (0, 1) * 30:
        players[worker][0].collect(16, 0, lambda step, w=worker: replay.add(step, w))
    storage, selector = replay.storage, replay.selector
    assert storage.first.min() > 0  # it has wrapped around
    index, _ = selector.select(200, 0)
    batch = transitions(storage, index, n_step=config.n_step, gamma=config.gamma)
    step, game = storage.locate(index)
    found = selector.trees[game * storage.rows + step % storage.rows]
    checked = 0
    for b in range(len(index)):
        model = players[game[b] // config.num_envs][1]
        window = (step[b] + np.arange(config.n_step)) % storage.rows
        if storage.columns["truncated"][game[b], window].any():
            continue  # nothing was chosen at its end
        with torch.no_grad():
            q = model(torch.from_numpy(batch["obs"][b : b + 1]))[0, batch["action"][b]]
            best = model(torch.from_numpy(batch["next_obs"][b : b + 1])).max()
        error = float(batch["reward"][b] + batch["discount"][b] * best - q)
        assert found[b] == pytest.approx((abs(error) + 1e-6) ** 0.6, rel=1e-3, abs=1e-4)
        checked += 1
    assert checked > 100
    for actor, _ in players:
        actor.envs.close()


def test_it_keeps_what_an_algorithm_promises(tmp_path):
    check_algorithm(ApexCorridorAlgorithm(), dataclasses.replace(SMALL, total_steps=160), tmp_path)


TRAINER = AlgorithmTrainer(ApexCorridorAlgorithm(), "Walk to the flag.")


def last_row(path: Path, source: str = "worker_0") -> dict[str, str]:
    return rows(path, source)[-1]


def test_a_run_measures_what_it_should(tmp_path):
    train(TRAINER, dataclasses.replace(SMALL, per_beta_steps=800), tmp_path / "run")
    last = last_row(tmp_path / "run")
    assert float(last["beta"]) == pytest.approx(0.4 + 0.6 * 400 / 800)
    assert float(last["buffer_size"]) == 400
    epsilons = [0.4 ** (1 + 7 * i / 3) for i in range(4)]
    assert float(last["epsilon"]) == pytest.approx(np.mean(epsilons))
    assert float(last["loss"]) > 0
    assert last["q_mean"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
@pytest.mark.slow
def test_workers_feed_one_replay_and_a_resumed_run_may_have_more_of_them(tmp_path):
    config = dataclasses.replace(SMALL, workers=2, total_steps=1200, sync_every=32)
    train(TRAINER, config, tmp_path / "run")
    learner, actor = last_row(tmp_path / "run", "coordinator"), last_row(tmp_path / "run")
    assert 400 < float(learner["buffer_size"]) <= 600
    assert 2 < float(learner["samples_per_insert"]) <= 4
    assert float(learner["lag"]) >= 0
    assert 0.4 < float(learner["beta"]) <= 1
    assert float(learner["loss"]) > 0
    assert int(learner["updates"]) == int(learner["train_steps"]) > 100
    assert int(actor["train_steps"]) == 0
    assert 0 < float(actor["epsilon"]) < 0.4
    more = dataclasses.replace(config, workers=3, total_steps=1600)
    TRAINER.train(more, tmp_path / "run", resume=True)
    again = last_row(tmp_path / "run", "coordinator")
    assert int(again["updates"]) > int(learner["updates"])
    assert sum(int(last_row(tmp_path / "run", f"worker_{n}")["steps"]) for n in range(3)) >= 1600


@pytest.mark.slow
def test_it_learns_to_walk_to_the_flag(tmp_path):
    config = dataclasses.replace(SMALL, total_steps=4000, tau=0.02, checkpoint_interval=10_000)
    train(TRAINER, config, tmp_path / "run")
    policy = TRAINER.load_policy(config, tmp_path / "run", device="cpu")
    result = evaluate(policy, TRAINER.env_kwargs(config), EvalProtocol(episodes=2))
    assert result.success_rate.mean == 1.0
    # What is shown is the success of the one game that hardly explores.
    assert float(last_row(tmp_path / "run")["success"]) > 0.9


def test_help_names_every_option_of_the_original(cli):
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", cli("train", "apex", "--help").stdout).split())
    for name in ("batch-size", "buffer-size", "sync-every"):  # by their own names
        assert f"--{name} " in text
        assert hasattr(ApexConfig(), name.replace("-", "_"))
    elsewhere = {
        "num-actors": "workers", "learning-rate": "lr", "alpha": "per-alpha", "beta": "per-beta",
        "beta-annealing (a rate)": "per-beta-steps", "save-every": "checkpoint-interval",
        "episodes": "total-steps",
    }  # fmt: skip
    for name, here in elsewhere.items():
        assert re.search(rf"--{re.escape(name)} (is )?--{here}\b", text), name
        assert hasattr(ApexConfig(), here.replace("-", "_"))
    assert "--render a command, mario-agents watch RUN" in text


def test_defaults_are_those_of_the_paper_and_of_the_original():
    assert load_trainer("apex") is APEX
    config = ApexConfig()
    assert (config.epsilon_base, config.epsilon_alpha, config.n_step) == (0.4, 7, 3)
    assert (config.per_alpha, config.per_beta) == (0.6, 0.4)
    assert (config.lr, config.sync_every) == (0.00025, 1000)
    assert config.replay == (512, 5_000, 1_000_000)
    assert APEX.algorithm.shares[0] == "experience"
    assert make_config(ApexConfig, to_plain(SMALL), source="test") == SMALL


def test_a_machine_with_less_memory_may_go_on_with_a_smaller_buffer():
    check_resume(SMALL, dataclasses.replace(SMALL, buffer_size=300))
    with pytest.raises(ConfigError, match="epsilon_base"):
        check_resume(SMALL, dataclasses.replace(SMALL, epsilon_base=0.5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame_stack": 1}, "apex needs frame_stack >= 2"),
        (
            {"buffer_size": 200, "workers": 4},
            "apex needs a buffer_size of at least 256 for 64 environments, not 200",
        ),
        ({"buffer_size": 1000, "learning_starts": 2000}, "learning_starts <= buffer_size"),
        ({"epsilon_base": 1.5}, "epsilon_base"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(values, message):
    with pytest.raises(ConfigError, match=message):
        make_config(ApexConfig, values, source="test")
