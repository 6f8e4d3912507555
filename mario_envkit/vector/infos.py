"""Infos of many games, as Gymnasium's SyncVectorEnv puts those of single environments together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.game.endings import DEATH_CAUSES, ENDINGS
from mario_envkit.game.levels import level_name
from mario_envkit.game.state import STATUS_NAMES

# Rows of the pool's matrices: IntRow and FlagRow in native/env_pool.hpp.
INT_KEYS = (
    "coins", "life", "score", "stage", "time", "world", "x_pos", "y_pos", "area", "frame",
    "stages_cleared",
)  # fmt: skip
STATUS_ROW, CAUSE_ROW, ENDING_ROW, TROUBLE_ROW = range(len(INT_KEYS), len(INT_KEYS) + 4)
INT_ROWS = len(INT_KEYS) + 4
TERMINATED_ROW, TRUNCATED_ROW, FLAG_GET_ROW, DIED_ROW = range(4)
FLAG_ROWS = 4

_FLAG_KEYS = "flag_get", "died", "life_lost", "snapshot_saved", "snapshot_restored"
_CODE_KEYS = "status", "death_cause", "ending"
_TEXT_KEYS = "level", *_CODE_KEYS

_STAGE, _WORLD = INT_KEYS.index("stage"), INT_KEYS.index("world")
_STATUS = np.array(STATUS_NAMES, object)
_ENDINGS = np.array(ENDINGS, object)  # death causes are its first


class InfoMaker:
    """Makes info dictionaries from the pool's matrices; what it makes shares nothing with them.

    Every key has its ``_key`` mask, read-only: all True, or the environments it speaks of.

    Args:
        ints: ``(INT_ROWS, num_envs)`` int64.
        flags: ``(FLAG_ROWS, num_envs)`` bool.
        doubles: ``(1 + terms, num_envs)`` float64: reward, then its parts.
        terms: names of the reward's terms.
        numeric: make what :func:`~mario_envkit.wrappers.numeric.numbers_of` makes of single infos.
    """

    def __init__(
        self,
        ints: NDArray[np.int64],
        flags: NDArray[np.bool_],
        doubles: NDArray[np.float64],
        terms: Iterable[str],
        numeric: bool = False,
    ) -> None:
        self.ints, self.flags, self._doubles = ints, flags, doubles
        self._count = ints.shape[1]
        self._parts = tuple(terms)
        self.numeric = numeric
        self._all = np.ones(self._count, np.bool_)
        self._all.flags.writeable = False
        self._part_keys = self._parts
        rest: tuple[str, ...] = ("level", "reward_parts")
        if numeric:
            self._part_keys = rest = tuple(f"reward_parts_{name}" for name in self._parts)
        self._keys = (*INT_KEYS, *_FLAG_KEYS, *_CODE_KEYS, *rest)
        # Before the values come in: to copy a dictionary takes less time than to make one.
        self._blank = _without_values(self._keys, self._all)
        self._blank_parts = _without_values(self._parts, self._all)
        self._events, self._part_rows = flags[FLAG_GET_ROW : DIED_ROW + 1], doubles[1:]
        # Texts are seldom others than in the step before: they are kept, and what they are of.
        self._text_rows = ints[_WORLD], ints[_STAGE], ints[STATUS_ROW:TROUBLE_ROW]
        self._text_codes: tuple[bytes, ...] = ()
        self._texts: NDArray[np.object_] = np.empty((len(_TEXT_KEYS), self._count), object)

    def make(self, only: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """The infos of all environments, or ``only`` of some: zero and "" for the others."""
        ints, parts = self.ints.copy(), self._part_rows.copy()
        events = np.zeros((len(_FLAG_KEYS), self._count), np.bool_)
        if np.count_nonzero(self._events):
            events[:2] = self._events
            events[2] = events[1]
        infos, reward_parts = self._blank.copy(), self._blank_parts.copy()
        if only is not None:
            mask = only.copy()
            mask.flags.writeable = False
            infos = _without_values(self._keys, mask)
            reward_parts = _without_values(self._parts, mask)
            others = ~only
            ints[:, others] = 0
            parts[:, others] = 0
            events &= only
        infos.update(zip(INT_KEYS, ints, strict=False))
        infos.update(zip(_FLAG_KEYS, events, strict=False))
        if self.numeric:
            infos.update(zip(_CODE_KEYS, ints[STATUS_ROW:], strict=False))
            infos.update(zip(self._part_keys, parts, strict=False))
            return infos
        texts = self._texts_now().copy()
        if only is not None:
            texts[:, others] = ""
        infos.update(zip(_TEXT_KEYS, texts, strict=False))
        reward_parts.update(zip(self._parts, parts, strict=False))
        infos["reward_parts"] = reward_parts
        return infos

    def of(self, env: int) -> dict[str, Any]:
        """The info of one environment, as it would say it by itself, texts and all."""
        numbers = self.ints[:, env].tolist()
        (
            coins, life, score, stage, time, world, x_pos, y_pos, area, frame, stages_cleared,
            status, cause, ending, _,
        ) = numbers  # fmt: skip
        died = bool(self.flags[DIED_ROW, env])
        return {  # in the order of MarioEnv
            "coins": coins,
            "flag_get": bool(self.flags[FLAG_GET_ROW, env]),
            "life": life,
            "score": score,
            "stage": stage,
            "status": STATUS_NAMES[status],
            "time": time,
            "world": world,
            "x_pos": x_pos,
            "y_pos": y_pos,
            "level": level_name(world, stage),
            "area": area,
            "frame": frame,
            "stages_cleared": stages_cleared,
            "died": died,
            "death_cause": DEATH_CAUSES[cause],
            "life_lost": died,
            "ending": ENDINGS[ending],
            "snapshot_saved": False,
            "snapshot_restored": False,
            "reward_parts": dict(zip(self._parts, self._doubles[1:, env].tolist(), strict=True)),
        }

    def put(self, env: int, info: dict[str, Any]) -> None:
        """Let the matrices say ``info`` of one environment."""
        ints = [info[key] for key in INT_KEYS]
        ints.append(STATUS_NAMES.index(info["status"]))
        ints += [ENDINGS.index(info[key]) for key in ("death_cause", "ending")]
        self.ints[:TROUBLE_ROW, env] = ints
        self.flags[FLAG_GET_ROW, env], self.flags[DIED_ROW, env] = info["flag_get"], info["died"]
        self._doubles[1:, env] = [info["reward_parts"][name] for name in self._parts]

    def _texts_now(self) -> NDArray[np.object_]:
        """What :data:`_TEXT_KEYS` are now, ``(keys, num_envs)``; nobody may write to it."""
        world, stage, codes = self._text_rows
        key = world.tobytes(), stage.tobytes(), codes.tobytes()
        if key != self._text_codes:
            self._texts[0] = list(map(level_name, world.tolist(), stage.tolist()))
            self._texts[1] = _STATUS[codes[0]]
            self._texts[2:] = _ENDINGS[codes[1:]]
            self._text_codes = key
        return self._texts


def _without_values(keys: Collection[str], mask: NDArray[np.bool_]) -> dict[str, Any]:
    return {**dict.fromkeys(keys), **dict.fromkeys([f"_{key}" for key in keys], mask)}


_NESTED = ("life_lost_info", "reward_parts")
"""Keys whose values are dictionaries themselves."""


def shared(infos: dict[str, Any]) -> dict[str, Any]:
    """New dictionaries, all the way down, around the same arrays."""
    new = infos.copy()
    for key in _NESTED:
        if key in infos:
            new[key] = shared(infos[key])
    return new


def copied(infos: dict[str, Any]) -> dict[str, Any]:
    """``deepcopy`` in a fraction of its time, for what infos are made of."""
    return {k: copied(value) if type(value) is dict else value.copy() for k, value in infos.items()}


def frozen(infos: dict[str, Any]) -> dict[str, Any]:
    """The same infos; nobody can write to their arrays any more."""
    for value in infos.values():
        if type(value) is dict:
            frozen(value)
        else:
            value.flags.writeable = False
    return infos


def masked(infos: dict[str, Any], mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Infos around the same arrays which speak of the environments in ``mask`` only."""
    return {
        key: mask if key[0] == "_" else masked(value, mask) if type(value) is dict else value
        for key, value in infos.items()
    }


def rows_of(
    infos: dict[str, Any], num_envs: int, leave_out: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Infos of all environments as a dictionary for each, of plain values."""
    names, columns = [], []
    for key, value in infos.items():
        if key[0] != "_" and key not in leave_out:
            names.append(key)
            columns.append(
                rows_of(value, num_envs)
                if type(value) is dict
                else value.tolist()
                if value.ndim == 1
                else list(value)
            )
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def row_of(infos: dict[str, Any], env: int, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """One of :func:`rows_of`."""
    return {
        key: row_of(value, env)
        if type(value) is dict
        else value[env].item()
        if value.ndim == 1 and value.dtype != object
        else value[env]
        for key, value in infos.items()
        if key[0] != "_" and key not in leave_out
    }
