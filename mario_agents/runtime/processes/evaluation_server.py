"""The process that plays the evaluations of a run, and records videos of them."""

from __future__ import annotations

import time
import traceback
from collections import deque
from pathlib import Path

import torch
from safetensors.torch import load

from mario_agents.config import make_config
from mario_agents.core.algorithm import Spaces, algorithm_named
from mario_agents.runtime.evaluation import EvaluationPlayer, EvaluationResult
from mario_agents.runtime.processes.background_entry import Link
from mario_agents.runtime.processes.messages import (
    Beat,
    Evaluate,
    Evaluated,
    Failed,
    Prepare,
    Ready,
    Record,
    Recorded,
    Request,
    decode,
    log_to,
)

BEAT_SECONDS = 1.0


class EvaluationServer:
    """Plays what it is asked to; an evaluation is played between two steps of a video.

    Args:
        link: requests come from there.
        plan: whose weights are evaluated.
    """

    def __init__(self, link: Link, plan: Prepare) -> None:
        self._link, self._videos = link, Path(plan.videos)
        algorithm = algorithm_named(plan.algorithm)
        config = make_config(algorithm.config_class, plan.options, source="the run")
        spaces = Spaces(plan.obs_shape, plan.actions)
        device = torch.device(plan.device)
        # Two models: a video may go on with the weights of one evaluation after the next one.
        self._evaluating = EvaluationPlayer(algorithm, config, spaces, device, self._beat)
        self._recording = EvaluationPlayer(algorithm, config, spaces, device, self._between)
        self._videos_due: deque[Record] = deque()
        self._beaten = 0.0

    def serve(self) -> None:
        """Do what is asked for, as long as the process lives."""
        self._link.send(Ready().encode())
        while True:
            self._take(wait=not self._videos_due)
            if self._videos_due:
                self._record(self._videos_due.popleft())

    def _take(self, *, wait: bool) -> None:
        message = self._link.receive(wait=wait)
        while message is not None:
            request: Request = decode(message, Request)
            if isinstance(request, Evaluate):
                self._evaluate(request)
            elif isinstance(request, Record):
                self._videos_due.append(request)
            message = self._link.receive(wait=False)

    def _evaluate(self, request: Evaluate) -> None:
        try:
            weights = load(request.weights)
            first, second = self._evaluating.evaluate(weights, request.step, request.best)
            plain, sticky = first
        except BaseException:  # a SystemExit of somebody's library, for instance
            self._link.send(Failed(traceback.format_exc()).encode())
        else:
            self._link.send(Evaluated(plain, sticky, tuple(second or ())).encode())

    def _record(self, request: Record) -> None:
        result = EvaluationResult(*request.evaluations)
        weights = load(request.weights)
        self._recording.record(self._videos, weights, request.step, result, request.best)
        self._link.send(Recorded().encode())

    def _between(self) -> None:
        self._beat()
        self._take(wait=False)

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten > BEAT_SECONDS:
            self._beaten = now
            self._link.send(Beat().encode())


def main(link: Link) -> None:
    """Prepare what the first message says, and serve."""
    log_to(link)
    message = link.receive()
    assert message is not None
    try:
        server = EvaluationServer(link, decode(message, Prepare))
    except BaseException:  # an algorithm that cannot be imported here, or has no room on the device
        link.send(Failed(traceback.format_exc()).encode())
        return
    server.serve()
