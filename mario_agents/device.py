"""Which device the networks of a run live on."""

from __future__ import annotations

import torch

from mario_envkit.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: if there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        # Torch explains itself over many lines; the first says what is missing.
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise ConfigError(
            f"The device {name!r} cannot be used here ({reason}); choose auto or cpu."
        ) from error
    return device
