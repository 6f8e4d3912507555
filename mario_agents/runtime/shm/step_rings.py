"""The ways of steps from workers to the learner, in shared memory."""

from __future__ import annotations

from mario_agents.runtime.experience import StepChannels
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.notifier import ProcessNotifier
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.step_layout import StepLayout

_RING_BYTES, _FEWEST = 8 << 20, 4
"""Where packets are large, a worker has fewer of them."""


def step_slots(layout: StepLayout, rounds_ahead: int) -> int:
    """Packets that a worker may have sent and the learner not taken in yet."""
    return min(max(_RING_BYTES // layout.capacity, _FEWEST), rounds_ahead)


def step_rings(
    segments: SharedSegments, layout: StepLayout, *, workers: int, rounds_ahead: int
) -> StepChannels:
    """Empty ones for so many workers, which wake one consumer.

    Raises:
        RunError: if there is not so much shared memory.
    """
    slots, wake = step_slots(layout, rounds_ahead), ProcessNotifier()
    rings = [
        ByteRing.create(segments, slots=slots, capacity=layout.capacity, consumer=wake)
        for _ in range(workers)
    ]
    return StepChannels(layout, dict(enumerate(rings)))
