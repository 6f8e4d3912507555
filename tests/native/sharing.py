"""``python -m tests.native.sharing CASE``: several threads use one game, in a process of their own.

Where that goes wrong the process may die; so tests start it and look how it ends. Exit status 0:
everything was as it is with one thread.
"""

from __future__ import annotations

import faulthandler
import hashlib
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import AlreadyPendingCallError, ResetNeeded

from mario_envkit.emulator.backends import make_emulator
from mario_envkit.emulator.protocol import Emulator
from mario_envkit.emulator.rom import find_rom
from mario_envkit.errors import EmulatorClosed, MarioEnvkitError
from mario_envkit.snapshots.context import Context
from tests.native.test_search import Explorer

CASES: dict[str, Callable[[], None]] = {}


def case(function: Callable[[], None]) -> Callable[[], None]:
    """Let the command line know a case."""
    CASES[function.__name__] = function
    return function


def together(work: Callable[[], Any], *others: Callable[[], Any], allowed: tuple = ()) -> Any:
    """What ``work`` returns, while each of ``others`` is called again and again beside it.

    Args:
        work, others: each in a thread of its own.
        allowed: errors that are an answer.
    """
    over, failures, results = threading.Event(), [], []

    def loop(call: Callable[[], Any]) -> None:
        while not over.is_set() and not failures:
            try:
                call()
            except allowed:
                pass
            except BaseException as error:
                failures.append(error)

    def once() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)
        over.set()

    threads = [threading.Thread(target=once)]
    threads += [threading.Thread(target=loop, args=(call,)) for call in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results[0]


def digest(*values: Any) -> str:
    """A hash of arrays and plain values."""
    hashed = hashlib.sha256()
    for value in values:
        hashed.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return hashed.hexdigest()


# -- consoles --------------------------------------------------------------------------------


def consoles() -> Iterator[Callable[[], Emulator]]:
    """Makers of the native console, one for each timing."""
    for timing in ("console", "nes-py"):
        yield lambda timing=timing: make_emulator(find_rom(), "native", timing)


def drive(console: Emulator, frames: int = 10_000, at_once: int = 50) -> list[str]:
    """Hold buttons as random numbers say; the console's memory after every few frames."""
    rng, seen = np.random.default_rng(3), []
    for _ in range(frames // at_once):
        console.step(int(rng.integers(256)), at_once, render=False)
        seen.append(digest(console.ram))
    return seen


def observed(look: Callable[[Emulator], Callable[[], Any]]) -> None:
    """A console that is looked at while it is driven goes the way of one that is not."""
    for make in consoles():
        alone, watched = make(), make()
        call = look(watched)
        assert together(lambda console=watched: drive(console), call) == drive(alone)


@case
def console_and_screen() -> None:
    """A viewer."""
    observed(lambda console: console.screen)


@case
def console_and_two_screens() -> None:
    """Two viewers, who may both draw the frame that was not drawn."""
    for make in consoles():
        console = make()
        drive(console, 1000)
        expected = digest(console.screen())

        def look(console: Emulator = console, expected: str = expected) -> None:
            console.load(console.save())  # forgets the picture
            assert digest(console.screen()) == expected

        together(lambda look=look: [look() for _ in range(1000)], look)


@case
def console_and_saves() -> None:
    """What is saved is a machine between two frames."""
    for make in consoles():
        alone, watched = make(), make()
        moments = set()
        for _ in range(400):
            moments.add(alone.save().data)
            alone.step(129, 10, render=False)

        def save(console: Emulator = watched, moments: set[bytes] = moments) -> None:
            assert console.save().data in moments

        def work(console: Emulator = watched) -> None:
            for _ in range(399):
                console.step(129, 10, render=False)

        together(work, save)


@case
def console_and_loads() -> None:
    """Another thread sets a console back, which it does between two calls."""
    for make in consoles():
        alone, watched = make(), make()
        start, moments = alone.save(), set()
        for _ in range(300):
            alone.step(129, 10, render=False)
            moments.add(alone.save().data)
        moments.add(start.data)

        def work(console: Emulator = watched, moments: set[bytes] = moments) -> None:
            for _ in range(300):
                console.step(129, 10, render=False)
                assert console.save().data in moments

        together(work, lambda c=watched, s=start: c.load(s), watched.reset, watched.screen)


# -- single environments ---------------------------------------------------------------------


def play(env: gymnasium.Env, steps: int = 300) -> list[str]:
    """Play with random actions from seed 0; everything that the environment says."""
    rng = np.random.default_rng(5)
    said = [digest(*env.reset(seed=0))]
    for _ in range(steps):
        observation, *rest = env.step(int(rng.integers(env.action_space.n)))
        said.append(digest(observation, *rest))
        if rest[1] or rest[2]:
            said.append(digest(*env.reset()))
    return said


def watched_env(env_id: str, **kwargs: Any) -> None:
    """An environment that is rendered and saved plays on as one that is not."""
    alone, watched = (gymnasium.make(env_id, render_mode="rgb_array", **kwargs) for _ in range(2))
    context = Context(watched.unwrapped)
    watched.reset(seed=0)
    assert together(lambda: play(watched), watched.render, context.save) == play(alone)


@case
def env_and_render() -> None:
    """A viewer of a game of which little is drawn."""
    watched_env("MarioTiles-v0")
    watched_env("MarioTrain-v0", level="random", max_pool=True)


@case
def snapshot_env_and_render() -> None:
    """A viewer of a game that goes back now and then."""
    watched_env("MarioSnapshot-v0", checkpoint_interval=60)


@case
def snapshot_env_and_files() -> None:
    """Files of snapshots that are written while new ones are taken, and an end beside a step."""
    with tempfile.TemporaryDirectory() as folder:
        env = gymnasium.make(
            "MarioSnapshot-v0", checkpoint_interval=4, archive=f"{folder}/archive",
            hotspot_path=f"{folder}/deaths.json",
        )  # fmt: skip
        sync_files, get_stats = map(env.get_wrapper_attr, ("sync_files", "get_stats"))
        together(lambda: play(env, 400), sync_files, get_stats)
        closing = threading.Timer(0.2, env.close)
        closing.start()
        with suppress(EmulatorClosed):
            play(env, 10_000)
        closing.join()


@case
def env_and_copies() -> None:
    """Copies of a game, and pickles, while it is played."""
    watched, alone = (gymnasium.make("Mario-v0", disable_env_checker=True) for _ in range(2))
    watched.reset(seed=0)
    game = watched.unwrapped

    def copy() -> None:
        deepcopy(game).close()
        pickle.loads(pickle.dumps(game)).close()
        if hasattr(game, "clone_state"):
            game.clone_state()

    assert together(lambda: play(watched, 100), copy) == play(alone, 100)


def one_of_two(env: Any, step: Callable[[], Any], again: Callable[[], Any]) -> None:
    """Two threads step: each gets a step or a sentence, and then the game is as good as new."""
    refused = 0

    def try_to_step() -> None:
        nonlocal refused
        try:
            step()
        except ResetNeeded:
            env.reset()
        except AlreadyPendingCallError as error:
            if not isinstance(error, MarioEnvkitError):
                raise
            refused += 1

    def work() -> None:
        for _ in range(100_000):
            try_to_step()
            if refused > 20:
                return

    together(work, try_to_step, allowed=(AlreadyPendingCallError,))
    assert refused, "nobody was in anybody's way"
    again()


@case
def env_and_two_that_step() -> None:
    """Steps, and resets, of two threads."""
    env, alone = (gymnasium.make("Mario-v0", disable_env_checker=True) for _ in range(2))
    env.reset()
    game = env.unwrapped
    one_of_two(game, lambda: game.step(128), lambda: None)
    assert play(env) == play(alone)


@case
def env_and_close() -> None:
    """One thread closes what the other plays."""
    for _ in range(8):
        env = gymnasium.make("MarioTiles-v0", render_mode="rgb_array", disable_env_checker=True)
        env.reset()

        def work(env: Any = env) -> None:
            for _ in range(10_000):
                try:
                    env.step(1)
                    env.reset()
                except EmulatorClosed:
                    return

        closing = threading.Timer(0.02, env.close)
        closing.start()
        together(work, env.render, allowed=(EmulatorClosed,))
        closing.join()


# -- vectors ---------------------------------------------------------------------------------


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


# -- other things ----------------------------------------------------------------------------


@case
def explorers() -> None:
    """Two threads explore with one explorer."""
    shared, alone = Explorer("console"), Explorer("console")
    seeds = iter(range(10**9))

    def explore(explorer: Explorer = shared, seed: int | None = None) -> None:
        rng = np.random.default_rng(next(seeds) if seed is None else seed)
        moves = rng.choice([0x80, 0x81, 0x83, 0x40], explorer.rows)
        holds = np.stack([moves, rng.integers(1, 9, explorer.rows)], axis=1).astype(np.int32)
        explorer.native.explore(0, holds[: int(rng.integers(1, explorer.rows + 1))])

    def keep() -> None:
        explore()
        number = shared.native.keep(0)
        explore()
        shared.native.forget(number)

    # ValueError: in between the other one began an expedition that saved nothing.
    together(lambda: [explore() for _ in range(500)], explore, keep, allowed=(ValueError,))
    for explorer in (shared, alone):
        explorer.states[:] = explorer.ram[:] = 0
        explore(explorer, 1)
    assert digest(shared.states, shared.ram) == digest(alone.states, alone.ram)


@case
def nes_py_console() -> None:
    """The reference console: a viewer, saves, loads and power-ons beside the one that drives."""
    make = lambda: make_emulator(find_rom(), "nes-py")  # noqa: E731
    alone, watched = make(), make()
    alone.step(1, 3)
    saved = alone.save()
    alone.reset()
    expected = drive(alone, 200, 1)
    assert together(lambda: drive(watched, 200, 1), watched.screen) == expected
    old = watched.ram  # of a machine that goes
    together(
        lambda: drive(watched, 50, 1), watched.screen, watched.save, watched.reset,
        lambda: watched.load(saved), lambda: watched.ram.sum(), lambda: old.sum(),
    )  # fmt: skip
    watched.reset()
    assert drive(watched, 200, 1) == expected
    old[:] = 0
    watched.close()
    old[:] = 1


def _same(one: Any, other: Any) -> None:
    assert one == other


if __name__ == "__main__":
    faulthandler.enable()
    sys.setswitchinterval(1e-5)
    CASES[sys.argv[1]]()
