"""The coordinator as an actor of Ray.

Its main is the one of a process, in a thread, with memory of its own in the place of shared memory.
The calls of workers are coroutines, beside that thread: they copy packets into it, and weights and
counters out of it, and none of them waits for another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.run import RunDir
from mario_agents.runtime.attached import AttachedRun, RunPlan, Ways
from mario_agents.runtime.coordinator_main import coordinate
from mario_agents.runtime.experience import StepChannels
from mario_agents.runtime.ray.messages import Attachment, Report, Sizes, State
from mario_agents.runtime.ray.placement import whereabouts
from mario_agents.runtime.ray.run_files import RunPlace, take_part_at
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.shm.heartbeat import Heartbeat, SharedHeartbeat
from mario_agents.runtime.shm.notifier import ThreadNotifier
from mario_agents.runtime.shm.shared_weights import SharedWeights
from mario_agents.runtime.shm.step_rings import step_slots
from mario_agents.runtime.step_layout import StepLayout
from mario_agents.runtime.supervisor import SLOTS
from mario_agents.runtime.transport import COUNTERS
from mario_agents.runtime.weights import CopiedWeights
from mario_agents.telemetry.events import COORDINATOR

Bytes = NDArray[np.uint8]


class LoopNotifier:
    """A :class:`~mario_agents.runtime.shm.notifier.Notifier` from any thread to a coroutine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._event = loop, asyncio.Event()

    def notify(self) -> None:
        """Wake who waits."""
        self._loop.call_soon_threadsafe(self._event.set)

    def wait(self, seconds: float) -> bool:
        """Nobody waits here but coroutines."""
        raise AssertionError("await heard() instead")

    async def heard(self, seconds: float) -> None:
        """Wait until notified, at most ``seconds``."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
        self._event.clear()


class WorkerEnd:
    """What the coordinator has of one worker.

    Args:
        ring: takes its packets.
        news: is notified when one of them is released.
    """

    def __init__(self, ring: ByteRing, news: LoopNotifier) -> None:
        self.ring, self.news = ring, news
        self.generation = self._reports = 0
        self._early: dict[int, tuple[Bytes, int]] = {}

    @property
    def arrived(self) -> int:
        """Packets that are, or were, in the ring."""
        return self.ring.stats().published

    def told(self, report: Report) -> bool:
        """Whether a report is the newest of the process that is the worker now."""
        if report.generation != self.generation or report.number <= self._reports:
            return False
        self._reports = report.number
        return True

    def replaced(self, generation: int) -> None:
        """Another process is the worker, or is going to be."""
        self.generation, self._reports = generation, 0
        self._early.clear()

    def put(self, sequence: int, data: Bytes, tag: int) -> None:
        """Take a packet. Calls may come in another order, and more than once."""
        if sequence >= self.arrived:
            self._early[sequence] = data, tag
        while (packet := self._early.pop(self.arrived, None)) is not None:
            data, tag = packet
            self.ring.send(data.size, lambda out, data=data: np.copyto(out, data), tag=tag)  # type: ignore[misc]


class CoordinatorActor:
    """Runs the coordinator, and answers workers and the main process.

    Args:
        plan: of the run.
        sizes, layout: how much room packets and weights need; ``layout`` is that of steps, if
            workers share experience.
        counters: of the workers, in a resumed run also of those that there were.
        place: of the run directory.
    """

    def __init__(
        self,
        plan: RunPlan,
        sizes: Sizes,
        layout: StepLayout | None,
        counters: list[dict[str, int]],
        place: RunPlace,
    ) -> None:
        self._plan, self._layout, self._sizes, self._place = plan, layout, sizes, place
        self._config = plan.config()
        self._board = SharedHeartbeat.private(workers=len(counters))
        for number, counts in enumerate(counters):
            for name, count in counts.items():
                self._board.row(number).add(name, count)
        self._weights = SharedWeights.private(size=sizes.weights)
        self._shared: tuple[int, Any] = 0, None
        self._ends: list[WorkerEnd] = []
        self._open, self._states = asyncio.Event(), 0

    # -- of the main process ----------------------------------------------------------------------

    async def run(self) -> str | None:
        """Run the coordinator to its end: None, or a sentence about what ended it."""
        loop = asyncio.get_running_loop()
        ways = self._ways(loop)
        self._open.set()
        return await loop.run_in_executor(ThreadPoolExecutor(1), self._main, ways)

    async def where(self) -> tuple[str, int]:
        """Id of the node, and of the process; it begins."""
        return whereabouts()

    async def board(self, stage: int) -> list[Heartbeat]:
        """All rows; from now on the run has come to ``stage``."""
        if stage > self._board.stage:
            self._board.reach(stage)
            for end in self._ends:
                end.news.notify()
        return [self._board.row(number).read() for number in range(self._board.workers + 1)]

    async def vacate(self, worker: int, generation: int) -> None:
        """The process that was a worker is gone; the next one will be of ``generation``."""
        await self._open.wait()
        self._ends[worker].replaced(generation)
        self._board.row(worker).vacate()

    async def pass_over(self, worker: int) -> None:
        """A worker has not begun, and nobody knows when it will: nobody is to wait for it."""
        row = self._board.row(worker)
        if not row.ever_taken:
            row.join()
            row.vacate()

    # -- of the workers ---------------------------------------------------------------------------

    async def attach(self, worker: int, generation: int) -> Attachment | None:
        """A new process is the worker; None if that is over already."""
        await self._open.wait()
        end = self._ends[worker]
        if generation < end.generation:
            return None
        end.replaced(generation)
        return Attachment(self._board.row(worker).read(), self._state(worker))

    async def exchange(
        self, worker: int, report: Report, released: int, seconds: float
    ) -> State | None:
        """What is new, as soon as there is something: other packets were released than
        ``released``, or the run is ending; None if another process is that worker."""
        end, deadline = self._ends[worker], asyncio.get_running_loop().time() + seconds
        self._hear(worker, report)
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            if report.generation != end.generation:
                return None
            if self._board.stage or self._released(end) != released:
                break
            await end.news.heard(left)
        return self._state(worker) if report.generation == end.generation else None

    async def send(self, worker: int, sequence: int, data: Bytes, tag: int, report: Report) -> None:
        """Take a packet."""
        self._hear(worker, report)
        if report.generation == self._ends[worker].generation:
            self._ends[worker].put(sequence, data, tag)

    async def weights(self, newer_than: int) -> tuple[int, list[Any]] | None:
        """Version and reference of the newest weights, which are put into the object store once."""
        import ray

        if self._weights.version <= newer_than:
            return None
        if self._weights.version != self._shared[0]:
            vector = np.empty(self._sizes.weights, dtype=np.float32)
            version = self._weights.read(vector)
            assert version is not None
            self._shared = version, ray.put(vector)
        version, reference = self._shared
        return version, [reference]

    # -- inside -----------------------------------------------------------------------------------

    def _ways(self, loop: asyncio.AbstractEventLoop) -> Ways:
        config, wake = self._config, ThreadNotifier()
        news = [LoopNotifier(loop) for _ in range(config.workers)]
        pool, steps = None, None
        if self._layout is None:
            pool = SharedGradientPool.private(
                size=self._sizes.gradients,
                slots=SLOTS,
                dtype=config.gradient_dtype,
                notifiers=[*news, wake],
            )
            rings = pool.rings
        else:
            slots = step_slots(self._layout, config.rounds_ahead)
            rings = [
                ByteRing.private(
                    slots=slots, capacity=self._layout.capacity, producer=each, consumer=wake
                )
                for each in news
            ]
            steps = StepChannels(self._layout, dict(enumerate(rings)))
        self._ends = [WorkerEnd(ring, each) for ring, each in zip(rings, news, strict=True)]
        return Ways(pool, steps, CopiedWeights(self._weights), self._board)

    def _main(self, ways: Ways) -> str | None:
        plan = replace(self._plan, began=time.monotonic())  # clocks of machines differ

        def attach(run: RunDir, settle: Callable[[], object]) -> AttachedRun:
            return AttachedRun(plan, ways, run, COORDINATOR, 0, settle)

        return take_part_at(self._place, COORDINATOR, attach, coordinate)

    def _hear(self, worker: int, report: Report) -> None:
        if self._ends[worker].told(report):
            self._board.row(worker).adopt(report.row)

    def _state(self, worker: int) -> State:
        self._states += 1
        board, end, own = self._board, self._ends[worker], self._board.row(worker)
        released = self._released(end)  # before what is known by it
        others = {name: board.total(name) - own.count(name) for name in COUNTERS}
        version = self._weights.version
        return State(self._states, end.arrived, released, version, board.stage, others)

    @staticmethod
    def _released(end: WorkerEnd) -> int:
        return end.arrived - end.ring.waiting
