"""What is checked, for every trainer that is installed, in which order, and how long it takes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch

from mario_agents.nn.registry import choose_network
from mario_envkit.plugins import available_trainers, load_trainer
from mario_envkit.vector.cores import available_cores
from tests.gpu.job import Check
from tests.gpu.options import FLEETS, LEARNING, OBSERVATIONS, SIZES, cases, fields_of

WORKERS = 2
CHECKS = "tests.gpu.checks"
OURS = "mario_agents.algos."
"""Trainers of other distributions are theirs to check, and toys are for tests."""
SHARED = 1.33
"""Cores of a check that runs beside others: much of what it does is waiting."""
BEGIN, PROCESS = 10.0, 15.0
"""Seconds, measured with a GPU: until the command knows what there is to check, and until a process
can (most of both is importing torch)."""
SLOWER_CPU = 4.0
"""So many times as long as with a GPU do checks take on a CPU, and have to measure there."""
PATIENCE, MOST_PATIENCE = 3.0, 30.0
"""A check that takes so many times its budget is ended, or so many seconds more."""
GIB_EACH = 2.0
"""Memory of the GPU for a check beside others, with its processes."""


class Machine(NamedTuple):
    """Where checks run.

    Attributes:
        device: "cuda", "cpu".
        cores: that may be used.
        most: checks that may run side by side, however many cores there are.
    """

    device: str
    cores: int
    most: int

    @classmethod
    def here(cls, device: str) -> Machine:
        """This one."""
        cores, most = available_cores(), available_cores()
        if device.startswith("cuda") and torch.cuda.is_available():
            memory = torch.cuda.get_device_properties(torch.device(device)).total_memory
            most = int(memory / 2**30 / GIB_EACH)
        return cls(device, cores, max(most, 1))

    def slots(self, cores: float | None) -> int:
        """How many checks that need so many cores run side by side."""
        return 1 if cores is None else max(min(int(self.cores / cores), self.most), 1)

    @property
    def threads(self) -> int:
        """Of the arithmetic of a check on the CPU, unless it sets a number itself."""
        return 2 if self.cores > 2 else 1

    @property
    def slower(self) -> float:
        """How many times as long checks take as with a GPU."""
        return SLOWER_CPU if self.device == "cpu" else 1.0

    def planned(self, check: Check) -> Check:
        """A check with the budget that it has here."""
        seconds, measured = (self.slower * each for each in (check.seconds, check.measured))
        return check._replace(seconds=seconds, measured=measured)

    def limit(self, planned: Check) -> float:
        """Seconds after which a check with such a budget is ended."""
        return min(PATIENCE * planned.seconds, planned.seconds + self.slower * MOST_PATIENCE)


def plan() -> list[Check]:
    """All checks, the most valuable ones first: what is right, side by side; then how fast it is,
    one by one."""
    names = [each.name for each in available_trainers() if each.target.startswith(OURS)]
    trainers = {name: load_trainer(name) for name in names}
    # Trainers that learn with the same learner compute the same.
    algorithms = {name: type(trainer.algorithm) for name, trainer in trainers.items()}
    distinct = {each.learner.__qualname__: name for name, each in reversed(algorithms.items())}
    learners = {name: trainers[name].config_class for name in names if name in distinct.values()}
    checks: list[Check] = []

    def add(name: str, target: str, seconds: float, /, *budget: Any, **arguments: Any) -> None:
        checks.append(Check(name, f"{CHECKS}.{target}", arguments, seconds, *budget))

    for name, config_class in learners.items():
        several = cases(config_class)
        # Variants of one network for each observation, the cheapest, which is the first.
        cheapest = {options["observation"]: case for case, options in reversed(several.items())}
        for case, options in several.items():
            # What residual networks compute on the CPU takes as long as everything else.
            seconds = 10 if "impala" in case else 4
            add(f"losses:{name}/{case}", "losses:check", seconds, SHARED,
                trainer=name, options=options, variants=case in cheapest.values())  # fmt: skip
    for name in names:
        add(f"run:{name}", "runs:one_process", 25, SHARED, trainer=name)
    for name, config_class in learners.items():
        if "compile" in fields_of(config_class):
            add(f"compile:{name}", "speed:compiled", 35, SHARED, trainer=name)
    for name, trainer in trainers.items():
        for share in trainer.algorithm.shares:
            add(f"workers:{name}/{share}", "runs:workers", 15, SHARED,
                trainer=name, share=share, count=WORKERS)  # fmt: skip
    for name in learners:
        add(f"graphs:{name}", "graphs:check", 10, SHARED, trainer=name)
    for name, what in LEARNING.items():
        if what.trainer in names:
            add(f"learn:{name}", "learning:check", what.seconds + 6, what.cores, what.seconds,
                name=name)  # fmt: skip
    for name in names:
        for observation in OBSERVATIONS:
            add(f"speed:{name}/{observation}", "speed:training", 5.5, None, 3.5,
                trainer=name, observation=observation)  # fmt: skip
    for name, config_class in learners.items():
        for case, options in {**cases(config_class), **SIZES.get(name, {})}.items():
            usual = choose_network("auto", options["observation"], "cuda")
            # What is measured without a graph as well.
            both = options.get("network") in (None, usual)
            seconds = 3.0 + (1.2 if both else 0.0) + (2.8 if "network" not in options else 0.0)
            add(f"updates:{name}/{case}", "speed:updates", seconds, None, 2.3 if both else 1.3,
                trainer=name, options=options, both=both)  # fmt: skip
    for name in FLEETS:
        if name in names:
            add(f"fleet:{name}", "speed:fleet", 16, None, 6, trainer=name)
    return checks


def chosen(checks: Sequence[Check], words: Sequence[str]) -> list[Check]:
    """Those whose name begins with one of the words; all of them without any."""
    return [c for c in checks if not words or any(c.name.startswith(word) for word in words)]


def groups(checks: Iterable[Check], machine: Machine) -> Iterator[tuple[int, list[Check]]]:
    """Checks that run side by side, with how many of them at once."""
    for cores, several in groupby(checks, lambda check: check.cores):
        yield machine.slots(cores), [machine.planned(check) for check in several]


def seconds_for(checks: Iterable[Check], machine: Machine) -> float:
    """What all checks take, if each takes its budget, with everything that has to begin first."""
    total = BEGIN + PROCESS
    for slots, several in groups(checks, machine):
        free = [0.0] * slots
        for check in several:
            heapq.heapreplace(free, free[0] + check.seconds)
        total += max(free)
    return total
