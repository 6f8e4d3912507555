"""Consecutive steps: sequences for world models, unrolls for policy gradients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.replay.frames import StackRef
from mario_agents.replay.storage import Storage


def unrolls(
    storage: Storage,
    start: NDArray[np.int64],
    length: int,
    *,
    extras: Collection[str] = (),
    out: NDArray[np.uint8] | None = None,
) -> dict[str, NDArray[Any]]:
    """``length`` steps of each of ``B`` games, time first, over the ends of episodes.

    Where an episode ends, ``terminated`` or ``truncated`` say so, and ``is_first`` that another
    one begins: sums of rewards and recurrent states must not be carried over.

    Args:
        storage: of which.
        start: ``(B,)`` int64, the first step of each.
        length: ``T``.
        extras: columns to include.
        out: ``(T + 1, B, *obs_shape)`` uint8, where ``obs`` is to be.

    Returns:
        ``obs`` ``(T + 1, B, *obs_shape)`` uint8, the last one what the last step led to, before any
        reset; ``action`` int64, ``reward`` float32, ``terminated``, ``truncated``, ``is_first``
        bool, ``index`` int64 and ``extras``, each ``(T, B, ...)``; and for the ``K`` steps that
        truncated an episode, ``cut`` ``(K,)`` int64, their places ``t * B + b``, and ``cut_obs``
        ``(K, *obs_shape)``, what they led to.
    """
    step, game = storage.locate(start)
    steps = step + np.arange(length)[:, None]
    games = np.broadcast_to(game, steps.shape)
    rows = steps % storage.rows
    names = ("action", "reward", "terminated", "truncated", "is_first", *extras)
    batch = {name: storage.columns[name][games, rows] for name in names}
    batch["index"] = storage.index(steps, games)
    columns = storage.columns
    refs = (
        np.concatenate(
            [columns[f"obs_{end}"][games, rows], columns[f"next_{end}"][game, rows[-1]][None]]
        )
        for end in StackRef._fields
    )
    wide = np.broadcast_to(game, (length + 1, len(game)))
    batch["obs"] = storage.frames.gather(wide, StackRef(*refs), out)
    t, b = batch["truncated"].nonzero()
    batch["cut"] = t * len(start) + b
    batch["cut_obs"] = storage.next_obs(games[t, b], rows[t, b])
    return batch


def sequences(
    storage: Storage, start: NDArray[np.int64], length: int, *, extras: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """What ``B`` games showed, one observation after the other, over the ends of episodes.

    Unlike a step, an entry has the reward that came *with* its observation, and the observation
    that an episode ended with is an entry of its own, as world models want it (Hafner et al.,
    "Mastering Diverse Domains through World Models", 2023).

    Args:
        storage: of which.
        start: ``(B,)`` int64, the steps whose observations come first. The step before each must
            not have left, unless ``is_first``.
        length: ``L``, entries of each; as many steps must be there.
        extras: columns to include.

    Returns:
        Each ``(B, L, ...)``: ``obs`` uint8; ``action`` int64, taken there, and ``extras``, both
        zero where ``is_last``; ``reward`` float32, zero where ``is_first``; ``is_first``, where an
        episode begins, ``is_last``, where one ends or is cut, and ``is_terminal``, where it ends
        because nothing more comes, bool; ``index`` int64, the step, or -1 where ``is_last``.
    """
    columns, rows = storage.columns, storage.rows
    step, game = storage.locate(start)
    steps = step[:, None] + np.arange(length)
    games = game[:, None]
    row = steps % rows
    ended = columns["terminated"][games, row] | columns["truncated"][games, row]
    # Every end before it moves an entry on by one.
    place = np.arange(length) + ended.cumsum(axis=1) - ended
    source, is_last = np.zeros_like(steps), np.zeros(steps.shape, dtype=np.bool_)
    b, k = (place < length).nonzero()
    source[b, place[b, k]] = steps[b, k]
    b, k = (ended & (place + 1 < length)).nonzero()
    source[b, place[b, k] + 1] = steps[b, k]
    is_last[b, place[b, k] + 1] = True
    row, before = source % rows, (source - 1) % rows
    is_first = columns["is_first"][games, row] & ~is_last
    came_with = np.where(is_last, columns["reward"][games, row], columns["reward"][games, before])
    newest = np.where(
        is_last, columns["next_newest"][games, row], columns["obs_newest"][games, row]
    )
    oldest = np.where(
        is_last, columns["next_oldest"][games, row], columns["obs_oldest"][games, row]
    )
    batch = {name: columns[name][games, row] for name in ("action", *extras)}
    for values in batch.values():
        values[is_last] = 0
    wide = np.broadcast_to(games, source.shape)
    return {
        **batch,
        "obs": storage.frames.gather(wide, StackRef(newest, oldest)),
        "reward": np.where(is_first, np.float32(0), came_with),
        "is_first": is_first,
        "is_last": is_last,
        "is_terminal": is_last & columns["terminated"][games, row],
        "index": np.where(is_last, -1, storage.index(source, games)),
    }
