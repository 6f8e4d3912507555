"""Dreamer practises: what begins anew in the real game begins a sequence."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import VectorWrapper
from torch import Tensor

from mario_agents.acting.actor import Actor
from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.policy import Belief, DreamerPolicy
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.types import Step
from mario_agents.run import RunDir
from mario_agents.runtime.worker_envs import WorkerEnvs

GAMES = 2


class Heard(VectorWrapper[Any, Any, Any, Any, Any]):
    """Keeps what environments say of every step."""

    def __init__(self, envs: Any) -> None:
        super().__init__(envs)
        self.ended: list[Any] = []
        self.infos: list[dict[str, Any]] = []

    def step(self, actions: Any) -> Any:
        result = super().step(actions)
        self.ended.append(result[2] | result[3])
        self.infos.append(result[4])
        return result


class Runner(DreamerPolicy):
    """Looks at everything, and runs to the right: into the first enemy again and again, unless it
    jumps now and then."""

    jumps = False

    def act(self, *args: Any, **options: Any) -> tuple[Tensor, dict[str, Tensor], Any]:
        action, kept, state = super().act(*args, **options)
        moves = torch.randint(1, 5, action.shape, generator=self._rng)
        action = moves if self.jumps else torch.ones_like(action)
        return action, kept, Belief(state.deter, state.stoch, action)


@pytest.mark.parametrize(
    ("begins", "rounds"),
    [
        ("snapshots", 150),
        pytest.param("start_states", 1_500, marks=pytest.mark.slow),
        pytest.param("backward", 120, marks=pytest.mark.slow),
    ],
)
def test_what_begins_anew_begins_a_sequence(
    begins: str, rounds: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    options: dict[str, Any] = {"start_states": 0.9} if begins == "start_states" else {}
    if begins == "backward":
        request.getfixturevalue("way").save(tmp_path / "1-1.json")
        options = {"backward": str(tmp_path / "1-1.json")}
    config = DreamerConfig(
        num_envs=GAMES, actions="right_only", batch_size=16, buffer_size=4_000, learning_starts=64,
        imagined=16, noop_max=0, stall_limit=20, device="cpu", ui=False, **options,
    )  # fmt: skip
    heard, steps, replay = play(config, rounds, tmp_path)
    first, over = (
        np.array([getattr(s, name) for s in steps]) for name in ("is_first", "terminated")
    )
    cut = np.array([s.truncated for s in steps])
    lost = np.array([info.get("life_lost", np.zeros(GAMES, bool)) for info in heard.infos])
    restored = np.array([info.get("snapshot_restored", lost[0] & False) for info in heard.infos])
    ended = np.array(heard.ended)
    starts = {str(start) for info in heard.infos for start in info.get("start", ["none"])}
    assert {"snapshots": "none", "start_states": "archive", "backward": "run"}[begins] in starts
    assert (ended | lost).any()
    assert restored.any() or begins != "snapshots"
    assert first[0].all()
    np.testing.assert_array_equal(first[1:], (ended | lost)[:-1])
    np.testing.assert_array_equal(over | cut, ended | lost)
    assert not (restored & ~(ended | lost)).any()
    check_memory(steps, first)
    check_sequences(replay, {step.final_obs[game].tobytes() for step, game in ends(steps)})


def play(config: DreamerConfig, rounds: int, path: Path) -> tuple[Heard, list[Step], Any]:
    algorithm, steps = DreamerAlgorithm(), list[Step]()
    run = RunDir.create(path / "run", trainer="dreamer", config=config)
    with closing(WorkerEnvs(algorithm, config, run)) as games:
        heard, spaces = Heard(games.envs), Spaces.of(games.envs)
        context = WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
        learner = algorithm.learner(config, spaces)
        replay = algorithm.dataset(config, learner, spaces, context)
        policy = Runner(learner.model, uniform=0.0, seed=0, device=context.device)
        policy.jumps = config.start_states > 0
        actor = Actor(heard, policy, seed=0)

        def keep(step: Step) -> None:
            steps.append(step)
            replay.add(step, 0)

        actor.collect(rounds * GAMES, sink=keep)
    return heard, steps, replay


def ends(steps: list[Step]) -> list[tuple[Step, int]]:
    return [(s, g) for s in steps for g in np.flatnonzero(s.terminated | s.truncated)]


def check_memory(steps: list[Step], first: Any) -> None:
    """Memory at the first observation is that of nobody, whatever was before."""
    memory = np.array([step.extras["deter"] for step in steps])
    assert len(np.unique(memory[first], axis=0)) == 1
    assert not (memory[~first] == memory[0, 0]).all(axis=1).any()


def check_sequences(replay: Any, last: set[bytes]) -> None:
    """What a game ended with is an entry, and the next one begins another sequence."""
    begun = 0
    for _ in range(8):
        batch = replay.draw(0)
        anew, is_last = batch["is_first"][:, 1:], batch["is_last"][:, :-1]
        np.testing.assert_array_equal(anew, is_last)
        assert {obs.tobytes() for obs in batch["obs"][batch["is_last"]]} <= last
        assert not batch["reward"][batch["is_first"]].any()
        begun += int(anew.sum())
    assert begun > 0
