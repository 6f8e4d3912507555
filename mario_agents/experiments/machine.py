"""The machine in words: wall-clock times mean nothing without it."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from mario_envkit.vector.cores import available_cores


def machine_text() -> str:
    """Processor, cores that may be used, GPUs, system, Python and torch."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    words = [f"{available_cores()} cores", _processor(), *(gpus or ["no GPU"])]
    return ", ".join(
        [
            *words,
            platform.system(),
            f"Python {platform.python_version()}",
            f"torch {version('torch')}",
        ]
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
