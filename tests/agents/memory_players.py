"""What tests of networks that remember share: small ones that have learned something, and a game
that only memory wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mario_agents.core.algorithm import Algorithm
from mario_agents.evaluation.evaluate import EvalProtocol, evaluate
from mario_agents.nn.actor_critic import ActorCriticConfig
from mario_agents.runtime.trainer import AlgorithmTrainer
from tests.agents.cue_game import CUE
from tests.agents.trained_run import train

SMALL: dict[str, Any] = dict(
    hidden=16, transformer_heads=2, transformer_memory=5, network="mlp", observation="pixels",
    precision="float32", device="cpu", ui=False, eval_interval=0,
)  # fmt: skip
"""Options of every algorithm with memory: few weights, vectors as observations, one process."""


def disturb(model: nn.Module) -> None:
    """Weights of an agent that has learned something: not all actions are alike."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=rng)


def assert_memory_wins(
    algorithm: Algorithm[Any, Any], config: ActorCriticConfig, path: Path
) -> None:
    """Trained in the game of cues, every core wins it; without one, half of the games are lost.

    Args:
        algorithm: its environments are the game of cues.
        config: says by ``recurrent_type`` which core.
        path: where the run is made.
    """
    trainer = AlgorithmTrainer(algorithm, "")
    train(trainer, config, path, name="cue")
    policy = trainer.load_policy(config, path, device="cpu", weights="latest")
    success = evaluate(policy, {"id": CUE}, EvalProtocol(episodes=40), max_envs=40).success_rate
    if config.recurrent_type == "none":
        assert success.low < 0.5 < success.high
    else:
        assert success.mean == 1.0
