"""Algorithms for the corridor, and such as go wrong, where workers can import them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from mario_agents.algos.dqn.algorithm import ApexAlgorithm, DDQNAlgorithm
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.core.updater import Updater
from mario_agents.runtime.processes.background import ENTRY
from mario_agents.testing.corridor import CORRIDOR
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig, ToyDataset, ToyLearner, ToyPolicy


class CorridorAlgorithm(DDQNAlgorithm):
    """Double DQN in the corridor."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CORRIDOR}


class ApexCorridorAlgorithm(ApexAlgorithm):
    """Ape-X in the corridor."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CORRIDOR}


class PPOCorridorAlgorithm(PPOAlgorithm):
    """PPO in the corridor."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CORRIDOR}


class BrokenWorkers(ToyAlgorithm):
    """No worker gets far."""

    def dataset(self, *args: Any) -> ToyDataset:
        raise RuntimeError("the cartridge is dusty")


class Diverging(ToyAlgorithm):
    """Gradients that are not finite."""

    def learner(self, config: ToyConfig, spaces: Any) -> ToyLearner:
        learner = super().learner(config, spaces)
        compute = learner.compute_loss

        def infinite(batch: Any) -> Any:
            loss, measured = compute(batch)
            return loss * float("inf"), measured

        learner.compute_loss = infinite  # type: ignore[method-assign]
        return learner


class BrokenEvaluation(ToyAlgorithm):
    """What was trained cannot be evaluated."""

    def policy(self, *args: Any) -> ToyPolicy:
        if evaluating():
            raise KeyError("of a library")
        return super().policy(*args)


class EvaluatedHereOnly(ToyAlgorithm):
    """A process of its own cannot evaluate what was trained."""

    def policy(self, *args: Any) -> ToyPolicy:
        if elsewhere():
            raise KeyError("only there")
        return super().policy(*args)


class EvaluatedInThread(ToyAlgorithm):
    """A thread of the process that trains evaluates it."""

    def __init__(self) -> None:
        self.own = True  # what another process could not know


class EvaluationThatKills(ToyAlgorithm):
    """A process that evaluates is killed."""

    def policy(self, *args: Any) -> ToyPolicy:
        if elsewhere():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().policy(*args)


class EvaluationThatWaits(ToyAlgorithm):
    """An evaluation begins by making a file, and goes on when there is another one."""

    def policy(self, *args: Any) -> ToyPolicy:
        policy = super().policy(*args)
        if elsewhere():
            act = policy.act
            Path("evaluating").touch()

            def acting(*args: Any, **kwargs: Any) -> Any:
                time.sleep(0.0 if Path("go on").exists() else 0.1)
                return act(*args, **kwargs)

            policy.act = acting  # type: ignore[method-assign]
        return policy


class HeldUpEvaluation(ToyAlgorithm):
    """An evaluation goes on until there have been 21 updates; it is one of the same process."""

    def __init__(self) -> None:
        self.own = True  # what a process could not know

    updaters: ClassVar[list[Updater]] = []

    def updater(self, *args: Any) -> Updater:
        self.updaters.append(super().updater(*args))
        return self.updaters[-1]

    def policy(self, *args: Any) -> ToyPolicy:
        deadline = time.monotonic() + 300
        while evaluating() and self.updaters[-1].updates < 21:
            assert time.monotonic() < deadline, "the updates wait for the evaluation"
            time.sleep(0.01)
        return super().policy(*args)


def elsewhere() -> bool:
    """Whether this is a process that only evaluates."""
    return getattr(sys.modules["__main__"].__spec__, "name", "") == ENTRY


def evaluating() -> bool:
    """Whether an evaluation asks, which has a thread of its own."""
    return threading.current_thread() is not threading.main_thread()
