"""Consoles, and what explores with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mario_envkit.emulator.backends import make_emulator
from mario_envkit.emulator.protocol import Emulator
from mario_envkit.emulator.rom import find_rom
from tests.native.sharing.cases import case, digest, together
from tests.native.test_search import Explorer


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
