"""Which device the networks of a run live on."""

from __future__ import annotations

import torch

from mario_agents.config import Precision
from mario_envkit.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """The device called ``name``, with the number that tensors there have; ``auto`` is CUDA where
    there is one, else the CPU.

    Raises:
        ConfigError: if there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(1, device=torch.device(name)).device
    except (RuntimeError, AssertionError, ValueError) as error:
        # Torch explains itself over many lines; the first says what is missing.
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise ConfigError(
            f"The device {name!r} cannot be used here ({reason}); choose auto or cpu."
        ) from error


def arithmetic(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which networks on ``device`` compute in ``precision``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=rounds(precision, device))


def rounds(precision: Precision, device: torch.device) -> bool:
    """Whether ``precision`` means bfloat16 on ``device``."""
    return precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 arithmetic pays off on a device: on GPUs from Ampere on, and on CPUs with
    instructions for it (Intel since Cooper Lake, AMD since Zen 4)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # Not in every version of torch; without them we do not know and stay with float32.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = [getattr(torch.cpu, check) for check in checks if hasattr(torch.cpu, check)]
    return device.type == "cpu" and any(check() for check in known)
