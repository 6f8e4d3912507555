"""The native console, as mario_envkit/native/bindings.cpp exports it."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

class Cartridge:
    @staticmethod
    def parse(image: bytes) -> Cartridge:
        """Read an iNES image; ValueError with one sentence if it is not one for this console."""

class Observer:
    def __init__(
        self, height: int, width: int, crop_top: int, grey: str, table: list[int]
    ) -> None: ...
    @property
    def size(self) -> int: ...

class _Machine:
    core: str
    def __init__(self, cartridge: Cartridge) -> None: ...
    def power_on(self) -> None: ...
    def step(self, buttons: int, frames: int = 1, draw: bool = False) -> None: ...
    def set_second_joypad(self, buttons: int) -> None: ...
    def ram(self) -> NDArray[np.uint8]: ...
    def save(self) -> bytes: ...
    def load(self, data: bytes) -> str:
        """Load a machine; the empty string, or what is wrong (then nothing has changed)."""
    def observe(self, observer: Observer, out: NDArray[np.uint8]) -> None: ...

class ConsoleMachine(_Machine): ...
class NesPyMachine(_Machine): ...

STEP: int
KEEP: int
SKIP: int
"""Orders to an environment of a pool; other orders are the numbers of starts."""

ORDERS: dict[str, dict[str, int]]
"""The numbers of the core's enumerations by name; "" is how many there are."""

def read_state(ram: NDArray[np.uint8], out: NDArray[np.int64]) -> None:
    """Fill ``out`` (17 int64) with the GameState that 2,048 bytes of RAM describe."""

def read_tiles(
    ram: NDArray[np.uint8], out: NDArray[np.uint8], *, show_buttons: bool, show_level: bool
) -> None:
    """Fill ``out`` (16 x 16 bytes) with the tiles that 2,048 bytes of RAM describe."""

class Observes(Enum):
    pixels = 0
    ram = 1
    tiles = 2

class EnvSpec:
    frame_skip: int
    max_pool: bool
    observes: Observes
    show_buttons: bool
    show_level: bool
    frame_stack: int
    stall_limit: int
    max_episode_steps: int
    last_world: int
    end_on_exit: bool
    def set_picture(self, observer: Observer) -> None: ...
    def set_reward(
        self,
        terms: list[tuple[int, float, bool, list[tuple[int, int]]]],
        scale: float,
        clipped: bool,
        low: float,
        high: float,
    ) -> None: ...

class EnvPool:
    def __init__(
        self,
        *,
        core: str,
        cartridge: Cartridge,
        spec: EnvSpec,
        num_threads: int,
        orders: NDArray[np.int32],
        ints: NDArray[np.int64],
        flags: NDArray[np.uint8],
        doubles: NDArray[np.float64],
        history: NDArray[np.int64],
        history_used: NDArray[np.int32],
    ) -> None: ...
    def add_start(self, machine: bytes, world: int, stage: int) -> int:
        """The number of a new start: a stage from 1, or zeros for the full game."""
    def set_reward(
        self,
        terms: list[tuple[int, float, bool, list[tuple[int, int]]]],
        scale: float,
        clipped: bool,
        low: float,
        high: float,
    ) -> None:
        """Other amounts for the same terms, from the next step on."""
    def start(self, observations: NDArray[np.uint8]) -> None: ...
    def wait(self) -> int: ...
    def run(self, observations: NDArray[np.uint8]) -> int: ...
    def screen(self, env: int, out: NDArray[np.uint8]) -> None: ...
    def watch(
        self, low: NDArray[np.int64], width: NDArray[np.uint64], outside: NDArray[np.uint8]
    ) -> None:
        """From now on set ``outside`` ``(N,)`` with every outcome: whether a flag is set, or one of
        the ints is outside its range of ``low`` to ``low + width``, both ``(INT_ROWS, N)``."""
    def save(
        self,
        env: int,
        progress: NDArray[np.int64],
        memory: NDArray[np.int64],
        stack: NDArray[np.uint8],
    ) -> bytes:
        """The machine; fills ``progress`` ``(13,)``, ``memory`` ``(terms, 2)`` and ``stack``."""
    def load(
        self, env: int, machine: bytes, progress: NDArray[np.int64], memory: NDArray[np.int64]
    ) -> str:
        """All but the observations; the empty string, or what is wrong (nothing has changed)."""
    def show(self, env: int, stack: NDArray[np.uint8]) -> None:
        """Put back observations, the oldest first."""
    def ram(self, env: int, out: NDArray[np.uint8]) -> None: ...

RUNNING: int
WON: int
"""Endings of an expedition; any other is a death, a warp, or a game that is stuck."""

class Explorer:
    """One environment that is saved and restored over and over; saved ones are numbers from 0."""

    def __init__(
        self,
        *,
        core: str,
        cartridge: Cartridge,
        start: bytes,
        addresses: list[int],
        states: NDArray[np.int64],
        bytes: NDArray[np.uint8],
        frames: NDArray[np.int32],
    ) -> None: ...
    def explore(self, start: int, holds: NDArray[np.int32]) -> int:
        """Play ``holds`` ``(n, 2)``, joypad bytes and frames, from a saved environment.

        Returns how many were begun; that many rows of states, bytes and frames are filled.
        """
    @property
    def ending(self) -> int: ...
    def keep(self, row: int) -> int:
        """Save the environment after hold ``row`` of the last expedition; its number."""
    def forget(self, number: int) -> None: ...
