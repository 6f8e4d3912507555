"""What Dreamer measures beside the game."""

from __future__ import annotations

from mario_agents.telemetry.collectors import LearnerCollector
from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.schema import Across, gauge, rolling

METRICS = (
    rolling("wm_loss", "loss of the world model", label="world model", headline=True),
    rolling("entropy", "entropy of the policy in imagination, in nats", headline=True),
    rolling("loss", "sum of all losses", panel=None),
    rolling("actor_loss", "negated objective of the actor", panel="Actor loss"),
    rolling("critic_loss", "cross-entropy of the critic in imagination", panel="Critic loss"),
    rolling(
        "replay_value_loss", "cross-entropy of the critic on real sequences", panel="Critic loss"
    ),
    rolling("recon_loss", "with a decoder: squared error of the picture, summed", panel=None),
    rolling(
        "wm_recon_mse",
        "with a decoder: mean squared error of the world model's picture of what it sees",
        label="reconstruction error",
        panel="Reconstruction",
    ),
    rolling(
        "wm_ssim",
        "with a decoder: structural similarity of that picture and what is seen, at most 1",
        label="similarity",
        panel="Similarity of the reconstruction",
    ),
    rolling(
        "redundancy_loss",
        "without a decoder: how far states and encoder are from agreeing number by number",
        label="redundancy",
        panel="Redundancy reduction",
    ),
    rolling(
        "wm_correlation",
        "without a decoder: mean correlation of states and encoder, at most 1",
        label="correlation",
        panel="Correlation of states and encoder",
    ),
    rolling("reward_loss", "cross-entropy of the reward", panel=None),
    rolling(
        "reward_error", "mean absolute error of the predicted reward", panel="Reward prediction"
    ),
    rolling("continue_loss", "cross-entropy of going on", panel=None),
    rolling(
        "continue_error",
        "mean absolute error of the predicted chance that a game goes on",
        panel="Continuation prediction",
    ),
    rolling(
        "kl_dynamics",
        "divergence of what was seen from what was expected, in nats, at least the free ones",
        label="divergence",
        panel="Divergence",
    ),
    rolling("kl_representation", "the same, as a loss of the posterior", panel=None),
    rolling("imagined_return", "mean return of imagined futures", panel="Imagined and real return"),
    rolling(
        "replay_return",
        "mean return of real sequences, as far as they go",
        panel="Imagined and real return",
    ),
    rolling("imagined_reward", "mean reward in imagination", panel=None),
    rolling(
        "return_range", "width of the range of imagined returns, 5 % to 95 %", panel="Return range"
    ),
    rolling(
        "demo_loss",
        "with demonstrations: cross-entropy of the demonstrated actions under the actor",
        panel="Demonstrations",
    ),
    rolling(
        "demo_accuracy",
        "with demonstrations: share of the demonstrated actions that are the actor's likeliest",
        panel="Demonstrations",
    ),
    gauge("train_ratio", "observations learned from for each agent step", panel="Train ratio"),
    gauge(
        "filled",
        "share of the steps that the first batch waits for",
        label="replay filled",
        panel=None,
        headline=True,
    ),
    gauge("buffer_size", "agent steps in the replay buffer", Across.SUM, panel=None),
)
"""The rolling ones are tracked for each batch, the gauges for each round of steps."""


class DreamerCollector(LearnerCollector):
    """Tracks :data:`METRICS`, for a worker that is put together by hand."""

    def __init__(self, logger: MetricLogger) -> None:
        super().__init__(logger, METRICS)
