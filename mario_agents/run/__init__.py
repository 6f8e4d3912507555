"""The directory of a run: configuration, weights, checkpoints, and who may write to it.

What happens to its files on a full disk says :mod:`mario_agents.run.storage`, when it goes on from
an older checkpoint :mod:`mario_agents.runtime.rewind`, and without locks
:mod:`mario_agents.run.lock`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mario_agents.run.directory import RunDir

if TYPE_CHECKING:
    from mario_agents.run.best import BestWeights
    from mario_agents.run.checkpoint import Checkpoint, CheckpointStore
    from mario_agents.run.weights import Which, read_weights, weights_path, write_weights

__all__ = [
    "BestWeights",
    "Checkpoint",
    "CheckpointStore",
    "RunDir",
    "Which",
    "read_weights",
    "weights_path",
    "write_weights",
]

_ELSEWHERE = {
    "BestWeights": "best",
    "Checkpoint": "checkpoint",
    "CheckpointStore": "checkpoint",
    "Which": "weights",
    "read_weights": "weights",
    "weights_path": "weights",
    "write_weights": "weights",
}


def __getattr__(name: str) -> object:
    """What needs torch is imported when it is used: a dashboard does not wait for it."""
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
