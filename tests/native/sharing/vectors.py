"""Vectors."""

from __future__ import annotations

import threading
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import AlreadyPendingCallError

from mario_envkit.errors import EmulatorClosed
from tests.native.sharing.cases import case, digest, one_of_two, together


def play_many(envs: Any, steps: int = 100, *, halves: bool = False) -> list[str]:
    """As :func:`play`, for a vector; ``halves``: by step_async() and step_wait()."""
    rng = np.random.default_rng(5)
    said = [digest(envs.reset(seed=0)[0])]
    for _ in range(steps):
        actions = rng.integers(7, size=envs.num_envs)
        if halves:
            envs.step_async(actions)
            observations, rewards, *_ = envs.step_wait()
        else:
            observations, rewards, *_ = envs.step(actions)
        said.append(digest(observations, rewards))
    return said


def make_many(env_id: str = "MarioTrain-v0", **kwargs: Any) -> Any:
    """A vector of four games."""
    return gymnasium.make_vec(env_id, 4, num_threads=2, render_mode="rgb_array", **kwargs)


@case
def vector_and_render() -> None:
    """A viewer of all games."""
    for halves in (False, True):
        alone, watched = (make_many(frame_skip=16, level="random") for _ in range(2))
        watched.reset(seed=0)
        played = together(lambda envs=watched, h=halves: play_many(envs, halves=h), watched.render)
        assert played == play_many(alone)


@case
def snapshot_vector_and_render() -> None:
    """A viewer of games that go back, and a display of their figures."""
    alone, watched = (make_many("MarioSnapshot-v0", checkpoint_interval=30) for _ in range(2))
    watched.reset(seed=0)
    slot = watched.unwrapped.slots[0]
    played = together(
        lambda: play_many(watched, 250), watched.render, watched.unwrapped.get_stats, slot.save,
    )  # fmt: skip
    assert played == play_many(alone, 250)


@case
def vector_and_copies() -> None:
    """Copies of a vector while it is played."""
    watched, alone = (make_many(frame_skip=16) for _ in range(2))
    watched.reset(seed=0)
    played = together(
        lambda: play_many(watched), lambda: deepcopy(watched).close(), watched.clone_state
    )
    assert played == play_many(alone)


@case
def vector_and_two_that_step() -> None:
    """Steps of two threads."""
    envs, alone = (make_many(frame_skip=16) for _ in range(2))
    envs.reset(seed=0)
    one_of_two(
        envs, lambda: envs.step([1, 2, 3, 4]), lambda: _same(play_many(envs), play_many(alone))
    )


@case
def vector_and_resets() -> None:
    """Steps of one thread and resets of another, which add starts."""
    levels = iter(f"{1 + i // 4 % 8}-{1 + i % 4}" for i in range(10**6))
    envs, alone = (make_many(frame_skip=16) for _ in range(2))
    envs.reset(seed=0)

    def step() -> None:
        envs.step([1, 2, 3, 4])

    def work() -> None:
        for _ in range(40):
            try:
                envs.reset(options={"level": next(levels)})
            except AlreadyPendingCallError:
                continue

    together(work, step, allowed=(AlreadyPendingCallError,))
    _same(play_many(envs), play_many(alone))


@case
def vector_halves_of_two_threads() -> None:
    """Halves of steps that two threads make."""
    envs, alone = (make_many(frame_skip=16) for _ in range(2))
    envs.reset(seed=0)

    def halves() -> None:
        envs.step_async([1, 2, 3, 4])
        envs.step_wait()

    one_of_two(envs, halves, lambda: None)
    if envs._waiting:
        envs.step_wait()
    _same(play_many(envs), play_many(alone))


@case
def vector_and_close() -> None:
    """One thread closes what the other plays."""
    for number in range(12):
        envs = make_many()
        envs.reset()

        def work(envs: Any = envs, number: int = number) -> None:
            for step in range(10_000):
                try:
                    envs.step_async([1, 1, 1, 1])
                    envs.step_wait()
                    if step == number % 3:
                        raise EmulatorClosed("enough")
                except EmulatorClosed:
                    return

        closing = threading.Timer(0.001 * number, envs.close)
        closing.start()
        together(work, envs.render, allowed=(EmulatorClosed,))
        closing.join()


def _same(one: Any, other: Any) -> None:
    assert one == other
