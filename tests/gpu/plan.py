"""What is checked, for every trainer that is installed."""

from __future__ import annotations

from mario_envkit.plugins import available_trainers, load_trainer
from tests.gpu.job import Check
from tests.gpu.options import FLEETS, LEARNING, SIZES, fields_of

WORKERS = 2
CHECKS = "tests.gpu.checks"
OURS = "mario_agents."
"""Trainers of other distributions are theirs to check."""


def plan() -> list[Check]:
    """All checks: first those of what is right, which run at once, the longest ones first; then
    those of speed, one by one."""
    together: list[Check] = []
    alone: list[Check] = []
    names = [each.name for each in available_trainers() if each.target.startswith(OURS)]
    learners: set[str] = set()
    for trainer in names:
        plugin, one = load_trainer(trainer), {"trainer": trainer}
        together.append(Check(f"run:{trainer}", f"{CHECKS}.runs:one_process", one, 60))
        for share in plugin.algorithm.shares:
            arguments = {**one, "share": share, "count": WORKERS}
            name = f"workers:{trainer}-{share}"
            together.append(Check(name, f"{CHECKS}.runs:workers", arguments, 50))
        alone.append(Check(f"speed:{trainer}", f"{CHECKS}.speed:training", one, 14, 6, True))
        if trainer in FLEETS:
            alone.append(Check(f"fleet:{trainer}", f"{CHECKS}.speed:fleet", one, 20, 8, True))
        # Trainers that learn with the same learner compute the same.
        learner = type(plugin.algorithm).learner.__qualname__
        if learner in learners:
            continue
        learners.add(learner)
        together.append(Check(f"losses:{trainer}", f"{CHECKS}.losses:check", one, 60))
        together.append(Check(f"graphs:{trainer}", f"{CHECKS}.graphs:check", one, 40))
        if "compile" in fields_of(plugin.config_class):
            together.append(Check(f"compile:{trainer}", f"{CHECKS}.speed:compiled", one, 75))
        alone.append(Check(f"updates:{trainer}", f"{CHECKS}.speed:updates", one, 15, 4, True))
        if trainer in SIZES:
            alone.append(Check(f"sizes:{trainer}", f"{CHECKS}.speed:sizes", one, 16, 4, True))
    for name, what in LEARNING.items():
        if what.trainer in names:
            target = f"{CHECKS}.learning:check"
            alone.append(Check(f"learn:{name}", target, {"name": name}, 12, what.seconds, True))
    return sorted(together, key=lambda check: -check.seconds) + alone


def chosen(checks: list[Check], words: list[str]) -> list[Check]:
    """Those whose name begins with one of the words; all of them without any."""
    return [c for c in checks if not words or any(c.name.startswith(word) for word in words)]
