"""What IMPALA and A3C measure beside the game."""

from __future__ import annotations

from mario_agents.imitation.self_imitation import DEMONSTRATED
from mario_agents.telemetry.schema import gauge, rolling

METRICS = (
    rolling("loss", "training loss", headline=True),
    rolling("entropy", "entropy of the policy, in nats", headline=True),
    rolling(
        "kl",
        "divergence of the policy from the one that played new unrolls, in nats",
        label="kl, new",
        panel="Change of the policy",
    ),
    rolling(
        "kl_old",
        "divergence of the policy from those that played old unrolls, in nats; 0 without any",
        label="kl, old",
        panel="Change of the policy",
    ),
    rolling(
        "rho",
        "mean probability ratio, bounded by rho_bar: 1 if all actions are the policy's own",
        panel="Bounded ratios",
    ),
    rolling(
        "rounding",
        "change of log-probabilities by bfloat16, in which the learner computes, in nats; 0 in "
        "float32",
        label="by bfloat16",
        panel="Change of the policy",
    ),
    rolling(
        "trusted",
        "share of steps within the trust region",
        panel="Steps within the trust region",
        share=True,
    ),
    rolling(
        "clip_fraction",
        "share of actions whose probability left the range of pg_clip; 0 without it",
        label="clipped",
        panel="Clipped actions",
        share=True,
    ),
    rolling(
        "explained_variance",
        "1 if the values foresaw the returns of a batch, 0 if not at all",
        label="explained",
        panel="Explained variance",
    ),
    rolling("policy_loss", "policy gradient loss", panel="Loss"),
    rolling("value_loss", "error of the values", panel="Loss"),
    *DEMONSTRATED,
    gauge("dropped", "new unrolls that were overwritten before they were learned from", panel=None),
    gauge("buffer_size", "steps that unrolls are made of", panel=None),
)
"""The rolling ones are tracked for each batch, the gauges for each round."""
