"""Invented games, and a memory of them that keeps everything as it came: slow, plain, the measure
of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mario_agents.core.types import Step
from mario_agents.replay.transitions import VALUE_COLUMNS

EVENTS = ("go",) * 6 + ("terminate", "truncate", "lose_life", "jump")
"""What may happen to a game in a step; a ``jump`` is a gap that nothing tells of."""


class InventedGames:
    """Pictures of 2x3 pixels from a few colours, so that equal frames are common.

    Observations are stacks of ``stack`` pictures, or with ``stack=None`` single ones.
    """

    def __init__(self, num_envs: int, stack: int | None, seed: int, colours: int) -> None:
        self.num_envs, self.colours = num_envs, colours
        self.stacked, self.stack = stack is not None, stack or 1
        self.rng = np.random.default_rng(seed)
        self.stacks = np.stack([self.start() for _ in range(num_envs)])
        self.is_first = np.ones(num_envs, dtype=np.bool_)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (self.stack, 2, 3) if self.stacked else (2, 3)

    def frame(self) -> np.ndarray:
        return self.rng.integers(self.colours, size=(2, 3)).astype(np.uint8)

    def start(self) -> np.ndarray:
        """The first observation of an episode: one frame repeated, or padded with black."""
        stack = np.repeat(self.frame()[None], self.stack, axis=0)
        if self.rng.random() < 0.3:
            stack[:-1] = 0
        return stack

    def restored(self) -> np.ndarray:
        """The first observation after a snapshot was restored: frames that all differ."""
        return np.stack([self.frame() for _ in range(self.stack)])

    def reset(self) -> None:
        """All games begin anew, as those of a replaced worker."""
        self.stacks = np.stack([self.start() for _ in range(self.num_envs)])
        self.is_first[:] = True

    def step(self, events: list[str]) -> Step:
        final = np.concatenate(
            [self.stacks[:, 1:], np.stack([self.frame() for _ in events])[:, None]], axis=1
        )
        follow = final.copy()
        for game, event in enumerate(events):
            if event in ("terminate", "truncate"):
                follow[game] = self.start() if self.rng.random() < 0.7 else self.restored()
            elif event in ("lose_life", "jump"):
                follow[game] = self.restored()
        shape = (self.num_envs, *self.obs_shape)
        terminated = np.array([event in ("terminate", "lose_life") for event in events])
        truncated = np.array([event == "truncate" for event in events])
        step = Step(
            obs=self.stacks.reshape(shape),
            action=self.rng.integers(7, size=self.num_envs),
            reward=self.rng.normal(size=self.num_envs).astype(np.float32),
            terminated=terminated,
            truncated=truncated,
            final_obs=final.reshape(shape),
            is_first=self.is_first,
            extras={
                "value": self.rng.normal(size=self.num_envs).astype(np.float32),
                "state": self.rng.normal(size=(self.num_envs, 2)).astype(np.float16),
                "ignored": np.zeros(self.num_envs),
                "q_taken": self.rng.normal(size=self.num_envs).astype(np.float32),
                "q_best": self.rng.normal(size=self.num_envs).astype(np.float32),
            },
        )
        self.stacks, self.is_first = follow, terminated | truncated
        return step


EXTRAS = {"value": ((), np.float32), "state": ((2,), np.float16), **VALUE_COLUMNS}


@dataclass
class NaiveStep:
    """One step of one game."""

    obs: np.ndarray
    action: int
    reward: float
    terminated: bool
    truncated: bool
    final_obs: np.ndarray
    is_first: bool
    extras: dict[str, np.ndarray]

    @property
    def ended(self) -> bool:
        return self.terminated or self.truncated


class NaiveReplay:
    """Lists of steps, one list for each game of each worker."""

    def __init__(self, num_envs: int, workers: list[int]) -> None:
        self.num_envs, self.workers = num_envs, workers
        self.games: list[list[NaiveStep]] = [[] for _ in workers for _ in range(num_envs)]

    def of(self, worker: int) -> list[list[NaiveStep]]:
        place = self.workers.index(worker) * self.num_envs
        return self.games[place : place + self.num_envs]

    def add(self, step: Step, worker: int) -> None:
        for env, history in enumerate(self.of(worker)):
            follows = False
            if history and not history[-1].ended:
                follows = np.array_equal(history[-1].final_obs, step.obs[env])
                history[-1].truncated = not follows
            history.append(
                NaiveStep(
                    step.obs[env].copy(),
                    int(step.action[env]),
                    float(step.reward[env]),
                    bool(step.terminated[env]),
                    bool(step.truncated[env]),
                    step.final_obs[env].copy(),
                    bool(step.is_first[env]) or not follows,
                    {name: step.extras[name][env].copy() for name in EXTRAS},
                )
            )

    def cut(self, worker: int) -> None:
        for history in self.of(worker):
            if history:
                history[-1].truncated = not history[-1].terminated

    def at(self, index: int) -> tuple[list[NaiveStep], int]:
        """History of the game, and number of the step, that ``index`` is."""
        number, game = divmod(index, len(self.games))
        return self.games[game], number

    def transition(self, index: int, n_step: int, gamma: float) -> dict[str, Any]:
        history, number = self.at(index)
        total, discount, last = 0.0, 1.0, history[number]
        for last in history[number : number + n_step]:
            total += discount * last.reward
            discount *= gamma
            if last.terminated:
                discount = 0.0
            if last.ended:
                break
        return {
            "obs": history[number].obs,
            "action": history[number].action,
            "reward": total,
            "discount": discount,
            "next_obs": last.final_obs,
        }

    def error(self, index: int, n_step: int, gamma: float) -> float | None:
        """The n-step error by the values that came with the steps; None before it can be known."""
        history, number = self.at(index)
        if len(history) <= number + n_step:
            return None
        total, discount = -float(history[number].extras["q_taken"]), 1.0
        for step in history[number : number + n_step]:
            total += discount * step.reward
            discount *= gamma
            if step.terminated:
                return total
            number += 1
            if step.truncated:
                number -= 1  # of what it led to nothing is known
                break
        return total + discount * float(history[number].extras["q_best"])


@dataclass
class Play:
    """What workers do in a test, in order: a worker's step, or that it is replaced."""

    games: dict[int, InventedGames]
    rows: int
    script: list[tuple[int, list[str] | None]]

    @property
    def num_envs(self) -> int:
        return next(iter(self.games.values())).num_envs

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return next(iter(self.games.values())).obs_shape

    @property
    def stacked(self) -> bool:
        return next(iter(self.games.values())).stacked


@st.composite
def plays(draw: st.DrawFn, most_steps: int = 90) -> Play:
    num_envs, stack = draw(st.integers(1, 3)), draw(st.sampled_from([None, 1, 2, 3, 4]))
    colours = draw(st.integers(1, 9))
    workers = draw(st.sampled_from([[0], [3], [0, 1], [2, 0, 1]]))
    seed = draw(st.integers(0, 2**32))
    games = {
        worker: InventedGames(num_envs, stack, seed + place, colours)
        for place, worker in enumerate(workers)
    }
    events = st.lists(st.sampled_from(EVENTS), min_size=num_envs, max_size=num_envs)
    turn = st.tuples(st.sampled_from(workers), events | events | events | st.none())
    script = draw(st.lists(turn, min_size=1, max_size=most_steps))
    return Play(games, draw(st.integers(1, 40)), [(workers[0], ["go"] * num_envs), *script])
