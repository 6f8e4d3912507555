"""The directory of a run: configuration, weights, checkpoints, and who may write to it."""

from mario_agents.run.best import BestWeights
from mario_agents.run.checkpoint import Checkpoint, CheckpointStore
from mario_agents.run.directory import RunDir
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
