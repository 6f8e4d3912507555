"""How many processor cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Cores that the process may run on at the same time, at least 1.

    Respects the processor affinity (``taskset``) and the quota of its control group (containers).
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS and Windows
        cores = os.cpu_count() or 1
    quota = _quota(_CGROUPS)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _quota(root: Path) -> float | None:
    """Cores' worth of time that control groups grant; None is no limit."""
    quotas = []
    for folder in (root, *_own_groups(root)):
        try:  # version 2: "max 100000" or "150000 100000", in microseconds
            granted, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue
        if granted != "max":
            quotas.append(int(granted) / int(period))
    try:  # version 1
        granted = (root / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (root / "cpu" / "cpu.cfs_period_us").read_text()
    except OSError:
        pass
    else:
        if int(granted) > 0:
            quotas.append(int(granted) / int(period))
    return min(quotas, default=None)


def _own_groups(root: Path) -> list[Path]:
    """The folders of this process's version 2 control group and of those it is part of."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    names = [line[3:].strip("/") for line in lines if line.startswith("0::")]
    return [
        root.joinpath(*parts[:depth])
        for parts in (name.split("/") for name in names if name)
        for depth in range(1, len(parts) + 1)
    ]
