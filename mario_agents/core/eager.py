"""Optimizers of PyTorch for processes that never load its compiler.

The first optimizer of a process imports ``torch._dynamo``, only to say that a compiler must leave
some of its methods alone. These are 800 modules, which take as long to load as PyTorch itself; no
optimizer is compiled here, so those below do without. What they compute is the same, bit for bit.
"""

from __future__ import annotations

import inspect

import torch


def _leave_the_compiler_out(*names: str) -> None:
    """Let methods of :class:`torch.optim.Optimizer` call what they wrap.

    ``torch._compile._disable_dynamo`` keeps the function that it makes at the first call as an
    attribute of the wrapped one. Where PyTorch does it otherwise, the compiler is loaded as ever.
    """
    for name in names:
        method = inspect.unwrap(getattr(torch.optim.Optimizer, name))
        method.__dynamo_disable = method


_leave_the_compiler_out("add_param_group", "state_dict", "load_state_dict", "zero_grad")

Optimizer = torch.optim.Optimizer
"""The base of optimizers of our own; their ``step`` is under :func:`torch.no_grad`."""


class AdamW(torch.optim.AdamW):
    """:class:`torch.optim.AdamW`, which cannot be differentiated through."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
