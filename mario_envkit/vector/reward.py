"""Rewards of many games at once: compiled for the native core, or worked out here in arrays."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mario_envkit.game.path_progress import PathProgress
from mario_envkit.game.rewards import (
    Clock,
    Coins,
    Death,
    Distance,
    Flag,
    Memory,
    PowerUp,
    Progress,
    RewardFunction,
    Score,
    Stall,
    Warp,
)
from mario_envkit.game.state import GameState

# In the order of TermKind in native/reward.hpp: attributes that hold the amount and the option.
_KINDS: dict[type, tuple[str, str | None]] = {
    Distance: ("weight", None),
    Progress: ("weight", "per_area"),
    Clock: ("weight", None),
    Death: ("penalty", None),
    Flag: ("bonus", "once"),
    Score: ("weight", None),
    Coins: ("weight", None),
    PowerUp: ("weight", None),
    Warp: ("bonus", None),
    Stall: ("penalty", None),
    PathProgress: ("weight", None),
}
_FIRST_BOOL = GameState._fields.index("flag_get")


NativeTerm: TypeAlias = tuple[int, float, bool, list[tuple[int, int]]]
"""Kind, amount, option, and the places that it pays for."""


class NativeReward(NamedTuple):
    """The arguments of the native core's ``EnvSpec.set_reward``."""

    terms: list[NativeTerm]
    scale: float
    clipped: bool
    low: float
    high: float


def only_stalls(function: RewardFunction) -> NativeReward:
    """Of a reward that is worked out in Python: what the native core pays when a game stalls."""
    kind = list(_KINDS).index(Stall)
    terms: list[NativeTerm] = [(kind, float(stall.penalty), False, []) for stall in function.stalls]
    return NativeReward(terms, float(function.scale), False, 0.0, 0.0)


def compile_reward(function: RewardFunction) -> NativeReward | None:
    """``function`` for the native core; None if it holds anything that only Python knows."""
    if type(function) is not RewardFunction:
        return None
    low, high = function.clip if function.clip is not None else (0.0, 0.0)
    if not all(map(_is_plain, (function.scale, low, high))):
        return None
    terms: list[NativeTerm] = []
    for term in function.terms:
        if type(term) not in _KINDS:
            return None
        amount_name, option_name = _KINDS[type(term)]
        amount = getattr(term, amount_name)
        option = getattr(term, option_name) if option_name else False
        if not _is_plain(amount) or type(option) is not bool:
            return None
        places = list(term.places) if isinstance(term, PathProgress) else []
        terms.append((list(_KINDS).index(type(term)), float(amount), option, places))
    return NativeReward(
        terms, float(function.scale), function.clip is not None, float(low), float(high)
    )


def _is_plain(number: Any) -> bool:
    """Whether a C++ double holds the number as it is."""
    return type(number) is float or (type(number) is int and abs(number) < 2**53)


class BatchedReward:
    """A reward function evaluated over the frames of all games, one array a field.

    Args:
        function: the reward.
        history: ``(num_envs, rows, fields)`` int64, the GameState of every frame of a step; the
            first row of a reset is the state in which the episode begins.
        used: ``(num_envs,)`` int32, how many of the rows are filled.
        results: ``(1 + terms, num_envs)`` float64: reward, then its parts; written here. The core
            has written what it paid for stalls as the reward (:func:`only_stalls`).

    Attributes:
        memory: what the terms remember, ``(num_envs,)`` in each; None before the first episode.
    """

    def __init__(
        self,
        function: RewardFunction,
        history: NDArray[np.int64],
        used: NDArray[np.int32],
        results: NDArray[np.float64],
    ) -> None:
        self._function = function
        self._history = history
        self._used = used
        self._results = results
        self._every = np.arange(len(used))
        self.memory: tuple[Memory, ...] | None = None

    def reweight(self, function: RewardFunction) -> None:
        """Pay by other weights of the same terms from now on."""
        self._function = function

    def update(self, started: NDArray[np.bool_], stepped: NDArray[np.bool_]) -> None:
        """Rewards of the step that these environments have just made, or of their reset."""
        function, results, used = self._function, self._results, self._used
        prices = results[0].copy()
        results[:, started | stepped] = 0.0
        for row in range(int(used[started | stepped].max(initial=0))):
            state = self._state(row)
            playing = (started | stepped) & (row < used)
            if row == 0 and started.any():
                self._remember(function.start(state), started)
                playing = stepped & (row < used)
            if not playing.any() or self.memory is None:
                continue
            reward, parts, memory = function(self.memory, state)
            self._remember(memory, playing)
            # A reset reports the frame of its last no-op alone, and no reward.
            results[0] = np.where(playing & stepped, results[0] + reward, results[0])
            for total, part in zip(results[1:], parts.values(), strict=True):
                total[:] = np.where(playing, np.where(stepped, total, 0.0) + part, total)
        self._pay_stalls(prices, stepped)

    def _pay_stalls(self, prices: NDArray[np.float64], stepped: NDArray[np.bool_]) -> None:
        function, results = self._function, self._results
        if not function.stalls:
            return
        stalled = stepped & (prices != 0)
        results[0, stalled] += prices[stalled]
        for stall in function.stalls:
            results[1 + function.terms.index(stall), stalled] += float(stall.penalty)

    def save(self, env: int) -> tuple[Memory, ...]:
        """What the reward of one game remembers, as plain numbers."""
        return tuple(tuple(values[env].item() for values in term) for term in self.memory or ())

    def load(self, env: int, memory: tuple[Memory, ...]) -> None:
        """Let one game's reward remember ``memory`` instead."""
        self._remember(memory, self._every == env)

    def _state(self, row: int) -> GameState:
        """The states of one frame; where a game made fewer frames, its last."""
        rows = self._history[self._every, np.clip(self._used - 1, 0, row)]
        columns: list[Any] = list(np.ascontiguousarray(rows.T))
        columns[_FIRST_BOOL:] = [column != 0 for column in columns[_FIRST_BOOL:]]
        return GameState(*columns)

    def _remember(self, memory: tuple[Memory, ...], where: NDArray[np.bool_]) -> None:
        before = memory if self.memory is None else self.memory
        self.memory = tuple(
            tuple(np.where(where, new, old) for new, old in zip(news, olds, strict=True))
            for news, olds in zip(memory, before, strict=True)
        )
