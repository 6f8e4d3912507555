"""A batch of the replay buffer, as the world model goes along it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mario_agents.core.types import Batch
from mario_agents.nn.rssm import RSSM, Latent


class Sequences(NamedTuple):
    """``B`` sequences of ``T`` observations, time first.

    Attributes:
        before: the state at the observation before the first one, as it was stored.
        obs: ``(T, B, ...)`` uint8.
        action: ``(T, B)`` int64, taken at the observation before each.
        reward: ``(T, B)`` float32, what came with the observation.
        is_first, is_last, is_terminal: ``(T, B)`` bool, as
            :func:`~mario_agents.replay.windows.sequences` has them.
    """

    before: Latent
    obs: Tensor
    action: Tensor
    reward: Tensor
    is_first: Tensor
    is_last: Tensor
    is_terminal: Tensor


def time_first(batch: Batch, rssm: RSSM) -> Sequences:
    """The sequences of a batch; their first observation is only what they begin behind."""
    columns = ("obs", "reward", "is_first", "is_last", "is_terminal")
    obs, reward, is_first, is_last, is_terminal = (
        batch[name].transpose(0, 1)[1:] for name in columns
    )
    action = batch["action"].transpose(0, 1)[:-1]
    before = unpacked(batch["deter"][:, 0], batch["stoch"][:, 0], rssm)
    return Sequences(before, obs, action, reward, is_first, is_last, is_terminal)


def packed(latent: Latent, rssm: RSSM) -> dict[str, Tensor]:
    """States ``(..., D)`` and ``(..., S * C)`` as they are stored: ``deter`` ``(..., D)`` float16
    and ``stoch`` ``(..., S)`` uint8, the numbers of the classes."""
    classes = latent.stoch.view(*latent.stoch.shape[:-1], rssm.stoch, rssm.classes).argmax(-1)
    return {"deter": latent.deter.to(torch.float16), "stoch": classes.to(torch.uint8)}


def unpacked(deter: Tensor, stoch: Tensor, rssm: RSSM) -> Latent:
    """What :func:`packed` packed, but for the precision of ``deter``."""
    # That of PyTorch looks at the numbers first, for which a device would have to be waited for.
    one_hot = stoch.unsqueeze(-1) == torch.arange(rssm.classes, device=stoch.device)
    return Latent(deter.float(), one_hot.flatten(-2).float())
