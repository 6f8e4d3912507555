"""What PPO measures beside the game."""

from __future__ import annotations

from mario_agents.imitation.self_imitation import DEMONSTRATED
from mario_agents.telemetry.schema import gauge, rolling

METRICS = (
    rolling("loss", "training loss", headline=True),
    rolling("entropy", "entropy of the policy, in nats", headline=True),
    rolling(
        "approx_kl",
        "divergence of the policy from that of the rollout, in nats",
        panel="Change of the policy",
    ),
    rolling(
        "clip_fraction",
        "share of actions whose probability left the clip range",
        label="clipped",
        panel="Clipped actions",
        share=True,
    ),
    gauge(
        "explained_variance",
        "1 if the values foresaw the returns of a rollout, 0 if not at all",
        label="explained",
        panel="Explained variance",
    ),
    rolling("policy_loss", "clipped objective, negated", panel="Loss"),
    rolling("value_loss", "error of the values", panel="Loss"),
    *DEMONSTRATED,
)
"""The rolling ones are tracked for each batch, the gauge for each rollout."""
