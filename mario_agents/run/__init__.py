"""The directory of a run: configuration, weights, checkpoints, and who may write to it."""

from mario_agents.run.checkpoint import Checkpoint, CheckpointStore
from mario_agents.run.directory import RunDir
from mario_agents.run.weights import read_weights, write_weights

__all__ = ["Checkpoint", "CheckpointStore", "RunDir", "read_weights", "write_weights"]
