"""Behaviour cloning: from runs to demonstrations, and from these to a run's first policy."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.acting.environments import make_bare
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import make_config
from mario_agents.imitation.cloning import check_imitation, split
from mario_agents.imitation.demonstrations import (
    Demonstration,
    agent_actions,
    demonstrations,
    discounted,
    sources_of,
)
from mario_agents.imitation.recording import recorded_runs
from mario_agents.imitation.steps import Steps
from mario_agents.ops.imitation import cloning_loss
from mario_agents.run.weights import read_tensors
from mario_envkit.curriculum.runs import Run, run_path
from mario_envkit.errors import ConfigError, OptionError, ReplayError
from mario_envkit.game.levels import Level
from mario_envkit.plugins import load_trainer
from tests.agents.command_runs import assert_refused
from tests.agents.test_initial import config_of, model, saved
from tests.agents.trained_run import assert_equal, rows, train


def run_of(actions: bytes, stage: int = 1) -> Run:
    return Run(Level(1, stage), actions, "console", "native/console", "0" * 64)


# -- pure parts ------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_what_its_definition_says(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    logits, value = rng.normal(size=(7, 5)), rng.normal(size=7) * 3
    action, target = rng.integers(0, 5, 7), rng.normal(size=7) * 3
    entropy = errors = right = 0.0
    for row, v, a, t in zip(logits, value, action, target, strict=True):
        log_prob = [x - math.log(sum(map(math.exp, row))) for x in row]
        entropy -= (1 - smoothing) * log_prob[a] + smoothing * sum(log_prob) / 5
        error = abs(v - t)
        errors += 0.5 * error**2 if error < 1 else error - 0.5
        right += int(max(range(5), key=lambda i: row[i]) == a)
    found = cloning_loss(
        torch.tensor(logits, dtype=torch.float32, requires_grad=True),
        torch.tensor(value, dtype=torch.float32),
        torch.tensor(action),
        torch.tensor(target, dtype=torch.float32),
        smoothing=smoothing,
        value_coef=0.25,
    )
    assert float(found.cross_entropy) == pytest.approx(entropy / 7, rel=1e-5)
    assert float(found.value_loss) == pytest.approx(errors / 7, rel=1e-5)
    assert float(found.accuracy) == pytest.approx(right / 7)
    assert float(found.loss.detach()) == pytest.approx(entropy / 7 + 0.25 * errors / 7, rel=1e-5)
    assert found.loss.requires_grad
    assert not found.cross_entropy.requires_grad


def test_what_is_yet_to_come_is_discounted() -> None:
    reward = np.random.default_rng(1).normal(size=30)
    slow = [sum(0.9**k * r for k, r in enumerate(reward[t:])) for t in range(30)]
    np.testing.assert_allclose(discounted(reward, 0.9), slow, rtol=1e-5)


def test_an_agent_holds_its_actions_for_a_step() -> None:
    config = PPOConfig(actions="simple", frame_skip=4)
    run = run_of(bytes([0x80] * 4 + [0x81] * 8 + [0x00] * 4 + [0x82] * 3))
    found = agent_actions(Path("way.json"), run, config)
    assert found.tolist() == [1, 2, 2, 0, 3]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0x80] * 5 + [0x81] * 7, "way.json changes buttons within the 4 frames of an agent step"),
        ([0x80] * 4 + [0x41] * 4, "way.json presses A\\+LEFT, which is none of this agent's"),
    ],
)
def test_what_an_agent_cannot_play_is_refused_in_a_sentence(
    actions: list[int], message: str
) -> None:
    config = PPOConfig(actions="simple", frame_skip=4, level="1-2")
    with pytest.raises(ConfigError, match=message) as refusal:
        agent_actions(Path("way.json"), run_of(bytes(actions), stage=2), config)
    assert "mario-envkit solve --level 1-2 --frame-skip 4 --actions simple" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def game(source: int, length: int) -> Demonstration:
    """Whose observations say of which game and step they are."""
    obs = np.stack([np.full(length, source), np.arange(length)], axis=1).astype(np.uint8)
    steps = np.arange(length)
    numbers = steps.astype(np.float32)
    return Demonstration(obs, steps.astype(np.int64), numbers, source, numbers, obs[-1])


@pytest.mark.parametrize("length", [1, 4])
def test_windows_stay_within_a_game(length: int) -> None:
    games = [game(0, 7), game(1, 4), game(2, 3), game(3, 9)]
    steps = Steps.of(games, length)
    windows = steps.windows(steps.starts)
    expected = [
        (each.source, first) for each in games for first in range(len(each.action) - length + 1)
    ]
    assert [tuple(first) for first in windows["obs"][0].tolist()] == expected
    assert (windows["obs"][..., 0] == windows["obs"][0, :, 0]).all()
    assert (np.diff(windows["obs"][..., 1].astype(int), axis=0) == 1).all()
    np.testing.assert_array_equal(windows["action"], windows["obs"][..., 1])
    assert windows["is_first"][0].all()
    assert not windows["is_first"][1:].any()


def test_whole_runs_are_held_out_where_there_are_enough() -> None:
    few = [game(source, 5) for source in (0, 1) for _ in range(12)]
    kept, held = split(few)
    assert (len(kept), len(held)) == (22, 2)
    many = [game(source, 5) for source in range(20) for _ in range(3)]
    kept, held = split(many)
    assert {each.source for each in held} == {9, 19}
    assert not {each.source for each in kept} & {9, 19}
    assert len(kept) + len(held) == 60
    alone = [game(0, 5)]
    assert split(alone) == (alone, [])


# -- on the game -----------------------------------------------------------------------------


def test_demonstrations_are_what_the_agent_would_have_seen(runs_folder: Path) -> None:
    config = make_config(
        PPOConfig, {"imitate": str(runs_folder), "noop_max": 4, "show_buttons": True}, source="test"
    )
    sources = sources_of(config)
    found = list(demonstrations(sources, config.env_kwargs(), gamma=0.9, seed=0))
    exact = [next(each for each in found if each.source == number) for number in (0, 1)]
    # Some of those with chance do not get there, and some do.
    assert 2 < len(found) < 2 * 17
    for source, demonstration in zip(sources, exact, strict=True):
        with closing(make_bare({**config.env_kwargs(), "noop_max": 0})) as env:
            obs, _ = env.reset()
            for step, action in enumerate(source.actions.tolist()):
                np.testing.assert_array_equal(demonstration.obs[step], obs)
                assert demonstration.action[step] == action
                obs, reward, terminated, _, info = env.step(action)
                assert demonstration.reward[step] == pytest.approx(reward)
        assert terminated
        np.testing.assert_array_equal(demonstration.final_obs, obs)
        assert info["ending"] == "flag"
        assert len(demonstration.action) == step + 1
    others = [each for each in found if not any(each is other for other in exact)]
    begun = {each.obs[5].tobytes() for each in others}
    assert len(begun) > 1, "games that begin with other idle frames see other things"


def test_a_run_that_does_not_go_as_recorded_is_refused(
    runs_folder: Path, played_runs: list[Run]
) -> None:
    cut = dataclasses.replace(played_runs[0], actions=played_runs[0].actions[:-100])
    cut.save(runs_folder / "cut.json")
    config = PPOConfig(imitate=str(runs_folder / "cut.json"))
    with pytest.raises(ReplayError, match=r"cut\.json does not reach the flag in this agent's"):
        list(demonstrations(sources_of(config), config.env_kwargs(), gamma=0.9, seed=0))


@pytest.mark.parametrize("name", ["ppo", "a3c"])
@pytest.mark.slow
def test_a_run_begins_with_what_it_imitated_and_does_so_once(
    name: str, runs_folder: Path, tmp_path: Path
) -> None:
    """One of both has a memory."""
    trainer: Any = load_trainer(name)
    options = {"imitate": str(runs_folder), "imitate_steps": 240, "seed": 3}
    path = train(trainer, config_of(name, **options), tmp_path / "run", name=name)
    learned = rows(path, "imitation")
    assert int(learned[-1]["step"]) == 240
    assert float(learned[-1]["accuracy"]) > float(learned[0]["accuracy"])
    assert float(learned[-1]["loss"]) < float(learned[0]["loss"]) - 0.1
    assert float(learned[-1]["held_out_accuracy"]) > 0.3
    begun = saved(path, 0)
    assert begun.step == 0
    assert begun.state["updater"] == {"updates": 0, "packets": 0}
    imitated = {
        key.removeprefix("model."): tensor
        for key, tensor in read_tensors(path / "imitated.safetensors")[0].items()
    }
    assert_equal(model(begun), imitated)
    stored = json.loads((path / "config.json").read_text())["config"]
    assert (stored["imitate"], stored["imitate_steps"]) == (str(runs_folder), 240)
    before = (path / "imitation.csv").read_bytes()
    for file in runs_folder.glob("*.json"):
        file.unlink()
    trainer.train(config_of(name, **options, total_steps=640), path, resume=True)
    assert (path / "imitation.csv").read_bytes() == before
    assert saved(path, -1).step >= 640


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_workers_begin_with_what_was_imitated(runs_folder: Path, tmp_path: Path) -> None:
    trainer: Any = load_trainer("ppo")
    options = {"imitate": str(runs_folder), "imitate_steps": 30, "workers": 2}
    path = train(trainer, config_of("ppo", **options), tmp_path / "run", name="ppo")
    tensors, _ = read_tensors(path / "imitated.safetensors")
    assert_equal(
        model(saved(path, 0)),
        {key.removeprefix("model."): tensor for key, tensor in tensors.items()},
    )


class Unteachable(PPOAlgorithm):
    imitates = None


def test_trainers_that_have_no_way_refuse(runs_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no way to learn from demonstrations; .* another tr"):
        check_imitation(Unteachable(), PPOConfig(imitate=str(runs_folder)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--imitate", "nowhere.json"), "nowhere.json cannot be read"),
        (("--imitate", "."), "There is no run of the levels that are played in"),
        (("--imitate", ".", "--level", "full"), "does not say which of its runs are meant"),
    ],
)
def test_the_command_refuses_before_anything_is_written(
    cli: Any, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    result = cli("train", "ppo", "--run-dir", "run", *words)
    assert_refused(result, message)
    assert not (tmp_path / "run").exists()


# -- an agent's own --------------------------------------------------------------------------


class ByHeart:
    """Implements :class:`mario_envkit.plugins.Policy`: game ``i`` does what was told it."""

    def __init__(self, *actions: np.ndarray) -> None:
        self._actions, self._step = actions, 0

    def reset(self, num_envs: int) -> None:
        self._step = 0

    def act(self, observations: np.ndarray, *, greedy: bool) -> np.ndarray:
        each = [told[min(self._step, len(told) - 1)] for told in self._actions]
        self._step += 1
        return np.array(each[: len(observations)], np.int64)


def test_an_agents_own_episodes_are_runs(played_runs: list[Run]) -> None:
    config = PPOConfig()
    ways = [agent_actions(Path("way.json"), run, config) for run in played_runs]
    policy = ByHeart(ways[0], np.ones(40, np.int64), ways[1])
    found = list(recorded_runs(policy, config.env_kwargs(), episodes=3, greedy=True, seed=0))
    assert found == [played_runs[0], None, played_runs[1]]
    full = PPOConfig(level="full").env_kwargs()
    with pytest.raises(OptionError, match="Runs are of single levels"):
        list(recorded_runs(policy, full, episodes=1, greedy=True, seed=0))


@pytest.mark.slow
def test_the_command_saves_different_runs(
    cli: Any, played_runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = train(load_trainer("ppo"), config_of("ppo"), tmp_path / "run", name="ppo")
    result = cli("demonstrate", str(path), "--out", "none", "--episodes", "2")
    assert_refused(result, "None of 2 episodes of", "reached the flag")
    monkeypatch.setattr(
        "mario_agents.imitation.recording.recorded_runs",
        lambda *args, **options: iter([played_runs[0], None, played_runs[0], played_runs[1]]),
    )
    result = cli("demonstrate", str(path), "--out", "own", "--episodes", "4")
    assert result.returncode == 0, result.stderr
    assert "3 of 4 episodes reached the flag, in 2 different ways." in result.stdout
    files = [run_path(tmp_path / "own", Level(1, 1), number=number) for number in (1, 2)]
    assert [Run.load(file) for file in files] == played_runs
