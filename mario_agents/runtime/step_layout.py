"""How steps lie in a packet of bytes, on their way from a worker to the learner."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mario_agents.core.types import Step
from mario_agents.runtime.transport import Bytes

Schema = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
"""Shape and dtype of one game's value, by name."""

Frames = NDArray[np.uint8]

PACKET_BYTES = 2 << 20
"""Bytes that a packet is planned to have at most, unless a single step has more."""

_STEP: Schema = {
    "action": ((), np.int64),
    "reward": ((), np.float32),
    "terminated": ((), np.bool_),
    "truncated": ((), np.bool_),
    "is_first": ((), np.bool_),
}
_FLAGS: Schema = {"begins": ((), np.bool_), "whole": ((), np.bool_)}
_HEADER = 3
"""Numbers of 8 bytes: generation, version, steps."""


class StepPacket(NamedTuple):
    """What a worker sent at once.

    Attributes:
        generation: how many processes were this worker before the one that played.
        version: of the weights that it played with.
        steps: in the order that they were made in.
    """

    generation: int
    version: int
    steps: list[Step]


class StepLayout:
    """Steps of all games of a worker as bytes; each packet can be read without those before it.

    Observations are uint8, and the first of several axes is taken for one of frames. What a step
    led to is sent as its newest frame only, where the others are those of its observation but the
    oldest; an observation is sent only where it is not what the step before led to. So a step of a
    game costs one frame, and a packet as many more as a stack has. If the first axis is none of
    frames, observations are sent once each all the same.

    Args:
        obs_shape: of one game's observation.
        num_envs: games.
        extras: what the policy wants kept.
        steps: that belong together, such as those of a round.

    Attributes:
        most: steps that are sent together: ``steps``, or as many as :data:`PACKET_BYTES` usually
            hold.
        capacity: bytes that a packet may have.
    """

    def __init__(
        self, obs_shape: tuple[int, ...], num_envs: int, extras: Schema, *, steps: int
    ) -> None:
        self.obs_shape, self.num_envs, self.extras = obs_shape, num_envs, dict(extras)
        self._stack = obs_shape[0] if len(obs_shape) > 1 else 1
        self._frame = math.prod(obs_shape) // self._stack
        self._columns = {**_STEP, **_FLAGS, **{_extra(n): kind for n, kind in extras.items()}}
        # Where episodes end a step has two more stacks: as many as that may be in one step.
        spare = 2 * self._stack * num_envs
        self.most = next(
            (n for n in range(steps, 1, -1) if self._size(n, n * num_envs + spare) <= PACKET_BYTES),
            1,
        )
        self.capacity = self._size(self.most, self.most * num_envs + spare)

    def pack(
        self, steps: Sequence[Step], generation: int, version: int
    ) -> Iterator[tuple[int, Callable[[Bytes], object]]]:
        """Steps as packets, each with its size and what writes it; one, unless many episodes ended
        in them."""
        begins, whole = np.zeros((2, len(steps), self.num_envs), dtype=np.bool_)
        begun, newest, wholes = list[Frames](), list[Frames](), list[Frames]()
        before: Step | None = None
        for number, step in enumerate(steps):
            obs, final = self._stacks(step.obs), self._stacks(step.final_obs)
            if before is None:
                begins[number] = True
            elif step.obs is not before.final_obs:
                begins[number] = _differ(obs, self._stacks(before.final_obs))
            whole[number] = _differ(obs[:, 1:], final[:, :-1])
            if begins[number].any():
                begun.append(obs[begins[number]])
            if whole[number].any():
                wholes.append(final[whole[number]])
                final = final[~whole[number]]
            newest.append(final[:, -1])
            before = step
        frames = [*begun, *newest, *wholes]
        size = self._size(len(steps), sum(part.size for part in frames) // self._frame)
        if size > self.capacity:
            half = len(steps) // 2
            yield from self.pack(steps[:half], generation, version)
            yield from self.pack(steps[half:], generation, version)
            return

        def write(out: Bytes) -> None:
            header, columns, place = self._split(out, len(steps))
            header[:] = generation, version, len(steps)
            columns["begins"][:], columns["whole"][:] = begins, whole
            for name in _STEP:
                np.stack([getattr(step, name) for step in steps], out=columns[name])
            for name in self.extras:
                np.stack([step.extras[name] for step in steps], out=columns[_extra(name)])
            for part in frames:
                np.copyto(place[: part.size].reshape(part.shape), part)
                place = place[part.size :]

        yield size, write

    def unpack(self, data: Bytes) -> StepPacket:
        """The steps of a packet; their arrays are parts of ``data``, or new."""
        generation, version, count = (int(x) for x in data[: 8 * _HEADER].view(np.int64))
        _, columns, place = self._split(data, count)
        begins, whole = columns["begins"], columns["whole"]
        frames = place.reshape(-1, self._frame)
        first, last = begins.sum() * self._stack, whole.sum() * self._stack
        begun = frames[:first].reshape(-1, self._stack, self._frame)
        newest = frames[first : len(frames) - last]
        wholes = frames[len(frames) - last :].reshape(-1, self._stack, self._frame)
        steps, led_to = list[Step](), begun[:0]
        shape = (self.num_envs, *self.obs_shape)
        for number in range(count):
            obs, begun = _filled(led_to, begins[number], begun)
            slid = np.empty_like(obs)
            slid[:, :-1] = obs[:, 1:]
            here = ~whole[number]
            slid[here, -1], newest = newest[: here.sum()], newest[here.sum() :]
            led_to, wholes = _filled(slid, whole[number], wholes)
            plain = {name: columns[name][number] for name in _STEP}
            extras = {name: columns[_extra(name)][number] for name in self.extras}
            steps.append(
                Step(
                    obs=obs.reshape(shape), final_obs=led_to.reshape(shape), extras=extras, **plain
                )
            )
        return StepPacket(generation, version, steps)

    def _stacks(self, obs: Frames) -> Frames:
        """Observations as ``(num_envs, stack, bytes of a frame)``."""
        return obs.reshape(self.num_envs, self._stack, self._frame)

    def _split(
        self, data: Bytes, steps: int
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], Bytes]:
        """Views of a packet: header, columns ``(steps, num_envs, ...)``, and bytes of frames."""
        header, start = data[: 8 * _HEADER].view(np.int64), 8 * _HEADER
        columns = {}
        for name, (shape, dtype) in self._columns.items():
            stop = start + steps * self._bytes(name)
            column = data[start:stop].view(dtype)
            columns[name] = column.reshape(steps, self.num_envs, *shape)
            start = _aligned(stop)
        return header, columns, data[start:]

    def _bytes(self, name: str) -> int:
        shape, dtype = self._columns[name]
        return self.num_envs * math.prod(shape) * np.dtype(dtype).itemsize

    def _size(self, steps: int, frames: int) -> int:
        columns = sum(_aligned(steps * self._bytes(name)) for name in self._columns)
        return 8 * _HEADER + columns + frames * self._frame


def _extra(name: str) -> str:
    return f"extras.{name}"


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _differ(ours: Frames, theirs: Frames) -> NDArray[np.bool_]:
    """``(num_envs,)``: whether two stacks are not equal."""
    different: NDArray[np.bool_] = (ours != theirs).any(axis=(1, 2))
    return different


def _filled(stacks: Frames, where: NDArray[np.bool_], others: Frames) -> tuple[Frames, Frames]:
    """``stacks`` with the next of ``others`` in some places, and the rest of ``others``."""
    count = int(where.sum())
    if count == 0:
        return stacks, others
    if count == len(where):
        return others[:count], others[count:]
    stacks = stacks.copy()
    stacks[where] = others[:count]
    return stacks, others[count:]
