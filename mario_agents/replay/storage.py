"""Experience of all workers in columns: one shard for each worker, drawn from as one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mario_agents.core.types import Step
from mario_agents.replay.frames import FrameStore, StackRef
from mario_agents.replay.shard import Added, Shard
from mario_envkit.errors import ConfigError

Schema = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
"""Shape and dtype of one value of each column, by the name it has in ``Step.extras``."""

SPARE_FRAMES = 16
"""One spare frame for so many steps: an episode needs one more frame than it has steps."""

STEP_COLUMNS: Schema = {
    "action": ((), np.int64),
    "reward": ((), np.float32),
    "terminated": ((), np.bool_),
    "truncated": ((), np.bool_),
    "is_first": ((), np.bool_),
    # The two observations of a step: where their stacks end and, rarely, begin.
    "obs_newest": ((), np.int64),
    "obs_oldest": ((), np.int64),
    "next_newest": ((), np.int64),
    "next_oldest": ((), np.int64),
}


class Storage:
    """The last ``rows`` steps of every game of every worker.

    Transitions, sequences and unrolls are all built from it when a batch is drawn. Frames are
    stored once, as single uint8 pictures (:class:`~mario_agents.replay.frames.FrameStore`); all
    else is in ``columns``, arrays ``(games, rows, ...)`` by name: those of :data:`STEP_COLUMNS`,
    and ``extras``. All shards are parts of the same arrays, so that a batch from many of them is
    drawn at once.

    **Index.** Game ``g`` is game ``g % num_envs`` of worker ``g // num_envs`` in the order of
    ``workers``. A step is called by ``step * games + g``, where ``step`` counts the steps of that
    worker since the storage was made; an index is never used again for another one.

    **Gaps.** If an observation is not what the step before led to although no episode ended there,
    the step before counts as truncated; :meth:`cut` says the same of a whole worker. Wherever a
    step does not follow the one before it, its ``is_first`` is True, whatever was said.

    **Memory.** ``rows * 17/16`` frames for each game (and a few more) and 47 bytes a step: for
    100,000 steps at 84x84 in 8 games 754.8 MB; storing stacks would take 5.6 GB (obs and
    next_obs). Where episodes are shorter than 16 steps the spare frames do not suffice; then the
    oldest steps leave before all rows are full, unless there is room for ``short_episodes``.

    Args:
        capacity: steps over all games of all workers; rounded down to whole rows.
        num_envs: games of each worker.
        obs_shape: of one observation.
        workers: the numbers of the workers that steps will come from.
        stacked: whether observations are stacks of frames, ``(stack, ...)``: not with
            ``frame_stack = 1``, where their first axis is one of the picture.
        extras: columns that the policy fills.
        short_episodes: whether there are frames for all rows even if every step ends an episode;
            the memory is taken when it is used.

    Raises:
        ConfigError: if there is no room for a step of each game.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        obs_shape: tuple[int, ...],
        *,
        workers: Sequence[int] = (0,),
        stacked: bool = True,
        extras: Schema | None = None,
        short_episodes: bool = False,
    ) -> None:
        self.num_envs, self.games = num_envs, num_envs * len(workers)
        self.rows = capacity // self.games
        if self.rows < 1:
            raise ConfigError(
                f"A replay buffer needs room for at least one step of each of the {self.games} "
                f"environments, not buffer_size={capacity}."
            )
        stack = obs_shape[0] if stacked else 1
        frames = self.rows + _spare_frames(self.rows, stack, short_episodes)
        self.frames = FrameStore(self.games, frames, obs_shape, stacked=stacked)
        self.extras = tuple(extras or ())
        schema = {**STEP_COLUMNS, **(extras or {})}
        self.columns: dict[str, NDArray[Any]] = {
            name: np.zeros((self.games, self.rows, *shape), dtype)
            for name, (shape, dtype) in schema.items()
        }
        self.steps = np.zeros(len(workers), dtype=np.int64)
        """By shard, the number of steps ever added to each of its games."""
        self.first = np.zeros(self.games, dtype=np.int64)
        """By game, the oldest step that is still complete."""
        self.shards = {worker: self._shard(place) for place, worker in enumerate(workers)}

    def _shard(self, place: int) -> Shard:
        games = slice(place * self.num_envs, (place + 1) * self.num_envs)
        return Shard(
            games,
            self.frames.part(games.start, games.stop),
            {name: column[games] for name, column in self.columns.items()},
            self.steps[place : place + 1],
            self.first[games],
            self.extras,
        )

    def __len__(self) -> int:
        """Number of complete steps."""
        return int(self.sizes().sum())

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        frames = (self.frames.frames, self.frames.written, self.frames.segment)
        columns = sum(column.nbytes for column in self.columns.values())
        counters = sum(counter.nbytes for counter in (self.steps, self.first))
        return columns + counters + sum(array.nbytes for array in frames)

    def add(self, step: Step, worker: int) -> Added:
        """Append one step of all games of a worker; its oldest steps leave if need be."""
        return self.shards[worker].add(step)

    def cut(self, worker: int) -> None:
        """Declare the newest step of each game of a worker truncated, unless it terminated.

        For a worker that was replaced, or whose games begin anew in the middle of their episodes.
        """
        self.shards[worker].cut()

    def clear(self) -> None:
        """Forget everything: indices begin anew."""
        for counters in (self.steps, self.first, self.frames.written, self.frames.segment):
            counters[:] = 0
        for shard in self.shards.values():
            shard.resume()

    def ends(self) -> NDArray[np.int64]:
        """``(games,)``, by game the number of steps ever added: its next step has this number."""
        return self.steps.repeat(self.num_envs)

    def sizes(self) -> NDArray[np.int64]:
        """``(games,)``, by game the number of complete steps."""
        return self.ends() - self.first

    def index(self, step: NDArray[np.int64], game: NDArray[np.int64]) -> NDArray[np.int64]:
        """How the steps ``step`` of the games ``game`` are called."""
        return step * self.games + game

    def locate(self, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Step and game of what :meth:`index` gave."""
        return np.divmod(index, self.games)

    def present(self, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these steps have not left."""
        step, game = self.locate(index)
        return np.asarray(step >= self.first[game])

    def obs(self, game: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Observations ``(*shape, *obs_shape)`` that the steps in ``row`` ``shape`` began with."""
        return self._observations("obs", game, row)

    def next_obs(self, game: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Observations that the steps in ``row`` led to, before any reset."""
        return self._observations("next", game, row)

    def _observations(
        self, which: str, game: NDArray[np.int64], row: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        newest, oldest = self.columns[f"{which}_newest"], self.columns[f"{which}_oldest"]
        return self.frames.gather(game, StackRef(newest[game, row], oldest[game, row]))

    def write(self, name: str, index: NDArray[np.int64], values: NDArray[Any]) -> None:
        """Replace values of a column, such as recurrent states computed with newer weights.

        Args:
            name: of the column.
            index: ``(*shape)``; steps that have left, and -1, are skipped.
            values: ``(*shape, ...)``.
        """
        there = (index >= 0) & self.present(index)
        step, game = self.locate(index[there])
        self.columns[name][game, step % self.rows] = values[there]


def _spare_frames(rows: int, stack: int, short_episodes: bool) -> int:
    """Frames of a game beyond one for each step."""
    return rows * 2 * stack if short_episodes else rows // SPARE_FRAMES + 2 * stack


def storage_bytes(
    capacity: int,
    games: int,
    obs_shape: tuple[int, ...],
    *,
    stacked: bool = True,
    extras: Schema | None = None,
    short_episodes: bool = False,
) -> int:
    """Bytes that a :class:`Storage` grows to; it takes them as it fills.

    Args:
        capacity, obs_shape, stacked, extras, short_episodes: as there.
        games: of all workers.
    """
    rows = capacity // games
    stack, frame = (obs_shape[0], obs_shape[1:]) if stacked else (1, obs_shape)
    schema = {**STEP_COLUMNS, **(extras or {})}
    step = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in schema.values())
    frames = rows + _spare_frames(rows, stack, short_episodes)
    return games * (rows * step + frames * math.prod(frame))


def ranges(
    begin: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs ``(game, number)`` with ``begin[game] <= number < end[game]``, as two arrays."""
    count = end - begin
    game = np.arange(len(begin)).repeat(count)
    offset = np.arange(len(game)) - (count.cumsum() - count).repeat(count)
    return game, begin.repeat(count) + offset
