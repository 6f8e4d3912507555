"""The evaluations of a run in a background process, as their owner sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from safetensors.torch import save
from torch import Tensor

from mario_agents.runtime.attended import LOOK_SECONDS
from mario_agents.runtime.evaluation import EvaluationResult, Verdict
from mario_agents.runtime.processes.background import BackgroundProcess, ProcessLost
from mario_agents.runtime.processes.messages import (
    Evaluate,
    Evaluated,
    Failed,
    Logged,
    Message,
    Prepare,
    Ready,
    Record,
    Recorded,
    Reply,
    decode,
)

SERVER = "mario_agents.runtime.processes.evaluation_server"
SILENT_SECONDS = 60.0
"""A process that gives no sign of life for so long, while there is something to do, hangs."""
STARTING_SECONDS = 300.0
"""Time that it has to import torch, which at low priority takes a while."""


class Lost(NamedTuple):
    """The process is gone, and with it what it was about to do; ``reason`` is a sentence."""

    reason: str


class EvaluatorProcess:
    """Plays evaluations, and records videos of them, in a process of low priority.

    No method waits for it: two threads, which sleep, send and receive.

    Args:
        plan: whose weights are evaluated.
        deliver: called in another thread with each evaluation, with a failure of one, and, at most
            once, with the loss of the process.
        on_idle: called in another thread when something else has been done.

    Raises:
        OSError: if the process cannot be started.

    Attributes:
        ready: whether it has been prepared.
    """

    def __init__(
        self,
        plan: Prepare,
        deliver: Callable[[Verdict | Failed | Lost], object],
        on_idle: Callable[[], object],
    ) -> None:
        self._process = BackgroundProcess(SERVER)
        self._deliver, self._on_idle = deliver, on_idle
        self.ready = False
        self._asked = self._answered = 0
        self._videos_asked = self._videos_made = 0
        self._silent = 0.0
        self._closing = False
        self._requests: SimpleQueue[Callable[[], Message] | None] = SimpleQueue()
        self._threads = [Thread(target=each, daemon=True) for each in (self._send, self._listen)]
        for thread in self._threads:
            thread.start()
        self._requests.put(lambda: plan)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def working(self) -> bool:
        """Whether it has been asked for something that is not done."""
        return self._answered < self._asked

    @property
    def recording(self) -> bool:
        """Whether a video is being made, or waits."""
        return self._videos_made < self._videos_asked

    def evaluate(
        self, weights: Mapping[str, Tensor], step: int, best: tuple[float, ...] | None
    ) -> None:
        """Evaluate weights of agent step ``step``; ``deliver`` is called with what it finds."""
        self._ask(lambda: Evaluate(save(dict(weights)), step, best))

    def record(
        self,
        weights: Mapping[str, Tensor],
        step: int,
        result: EvaluationResult,
        best: tuple[float, ...] | None,
    ) -> None:
        """Record an evaluation, see :meth:`EvaluationPlayer.record
        <mario_agents.runtime.evaluation.EvaluationPlayer.record>`."""
        self._videos_asked += 1
        self._ask(lambda: Record(save(dict(weights)), step, tuple(result), result.score, best))

    def close(self) -> None:
        """End the process at once, whatever it does; nothing is delivered any more."""
        self._closing = True
        self._process.kill()
        self._requests.put(None)
        for thread in self._threads:
            thread.join()
        self._process.close()

    def _ask(self, request: Callable[[], Message]) -> None:
        self._asked += 1
        self._requests.put(request)

    def _send(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                self._process.send(request().encode())
            except OSError:  # it is gone, which the other thread hears of
                return

    def _listen(self) -> None:
        try:
            while True:
                message = self._process.receive(LOOK_SECONDS)
                if message is not None:
                    self._silent = 0.0
                    reply: Reply = decode(message, Reply)
                    self._hear(reply)
                    if isinstance(reply, Failed) and not self.ready:
                        return  # it has nothing more to say
                elif self._hangs():
                    raise ProcessLost(f"It gave no sign of life for {self._patience:g} seconds.")
        except ProcessLost as lost:
            if not self._closing:
                self._answered = self._asked
                self._deliver(Lost(str(lost)))

    def _hear(self, reply: Reply) -> None:
        if isinstance(reply, Logged):
            reply.tell()
        elif isinstance(reply, Ready):
            self.ready = True
        elif isinstance(reply, Recorded):
            self._videos_made += 1
            self._answered += 1
            self._on_idle()
        elif isinstance(reply, Evaluated):
            self._answered += 1
            first = EvaluationResult(reply.plain, reply.sticky)
            second = EvaluationResult(*reply.confirmed) if reply.confirmed else None
            self._deliver(Verdict(first, second))
        elif isinstance(reply, Failed):
            self._answered += 1
            self._deliver(reply)

    @property
    def _patience(self) -> float:
        return SILENT_SECONDS if self.ready else STARTING_SECONDS

    def _hangs(self) -> bool:
        """Whether it has been silent for too long, after one more look that found nothing."""
        busy = self.working or not self.ready
        self._silent = self._silent + LOOK_SECONDS if busy else 0.0
        return self._silent > self._patience
