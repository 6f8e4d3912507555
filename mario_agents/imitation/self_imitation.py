"""Self-imitation of demonstrated runs while an actor-critic plays and learns from its own games.

Oh et al., "Self-Imitation Learning" (ICML 2018); with episodes that begin along the same runs
(``--backward``) it is the second phase of Go-Explore (Ecoffet et al., "First return, then explore",
Nature 590, 2021).
"""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.config import DemonstrationOptions, NonNegativeFloat
from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.types import Batch
from mario_agents.imitation.kept import demonstrated_steps
from mario_agents.nn.actor_critic import ActorCriticConfig
from mario_agents.ops.imitation import self_imitation_loss
from mario_agents.telemetry.schema import rolling
from mario_envkit.errors import ConfigError

DEMONSTRATED = (
    rolling(
        "demo_better",
        "with self-imitation: share of demonstrated steps that earned more than is expected",
        panel="Demonstrations",
    ),
    rolling(
        "demo_accuracy",
        "with self-imitation: share of the demonstrated actions that are the policy's likeliest",
        panel="Demonstrations",
    ),
)
"""What is measured of each batch that has demonstrated steps beside it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfImitationConfig(DemonstrationOptions, ActorCriticConfig):
    """What is learned from these runs while the agent plays."""

    HEADING = "self-imitation"

    sil_coef: NonNegativeFloat = 0.0
    """With imitate: weight of self-imitation while the run plays. Beside each batch are so many
    demonstrated steps as demo_ratio says of it, and what in them earned more than is expected is
    imitated; 0 imitates only before it plays. Go-Explore has 0.1, together with backward."""
    sil_value_coef: NonNegativeFloat = 0.01
    """Weight of the value loss in self-imitation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.demo_windows and "gamma" in self.schedules:
            raise ConfigError(
                "sil_coef does not go with a schedule of gamma: what demonstrations earned is "
                "discounted once, before training."
            )

    @property
    @abstractmethod
    def batch_steps(self) -> int:
        """Agent steps that a batch has of what is played."""

    @property
    @abstractmethod
    def demo_length(self) -> int:
        """Demonstrated steps in a row that are learned from together; 1 without memory."""

    @property
    @abstractmethod
    def discount(self) -> float:
        """For each agent step of what demonstrations earned."""

    @property
    def remembers(self) -> bool:
        """Whether the network has a memory."""
        return self.recurrent_type != "none"

    @property
    def demo_windows(self) -> int:
        """Sequences of demonstrated steps beside each batch, with ``sil_coef``."""
        if self.imitate is None or not self.sil_coef or not self.demo_ratio:
            return 0
        return max(round(self.demo_ratio * self.batch_steps / self.demo_length), 1)

    def replay_bytes(self) -> int:
        """Bytes of demonstrations, as many as there may be."""
        holders = 1 if self.share == "experience" else max(self.workers, 1)
        steps = self.demo_size * holders if self.demo_windows else 0
        return steps * math.prod(self.obs_shape)


class DemonstratedWindows:
    """Windows of what was demonstrated, drawn beside each batch; without demonstrations none.

    Args:
        config: of the run.
        context: the demonstrations, and the seed of drawing.
        env_kwargs: of the game, in which they are played.

    Raises:
        ConfigError, ReplayError: if the agent cannot play them.
    """

    def __init__(
        self, config: SelfImitationConfig, context: WorkerContext, env_kwargs: Mapping[str, Any]
    ) -> None:
        self._count = config.demo_windows
        self._rng = np.random.default_rng(context.seed_for("demonstrations"))
        self._steps = None
        if context.demonstrations:
            self._steps = demonstrated_steps(
                *(context.demonstrations, config, env_kwargs),
                size=config.demo_size,
                gamma=config.discount,
                length=config.demo_length,
            )

    def draw(self) -> dict[str, NDArray[Any]]:
        """``demo_obs``, ``demo_action``, ``demo_value`` and ``demo_is_first``, each
        ``(T, K, ...)``."""
        if self._steps is None:
            return {}
        drawn = self._steps.draw(self._count, self._rng)
        return {f"demo_{name}": array for name, array in drawn.items()}

    def state(self) -> dict[str, Any]:
        """The state of the generator that draws."""
        return {} if self._steps is None else {"demonstrations": self._rng.bit_generator.state}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over :meth:`state`, which others may have added to."""
        if self._steps is not None:
            self._rng.bit_generator.state = state["demonstrations"]


def with_self_imitation(
    loss: Tensor,
    measured: Mapping[str, Tensor],
    batch: Batch,
    policy_value: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    config: SelfImitationConfig,
) -> tuple[Tensor, dict[str, Tensor]]:
    """A loss and what was measured, with those of what :meth:`DemonstratedWindows.draw` has put
    beside the batch, if it has: see :func:`~mario_agents.ops.imitation.self_imitation_loss`.

    Args:
        loss, measured: of what was played.
        batch: of both.
        policy_value: as :meth:`~mario_agents.core.algorithm.Algorithm.policy_value`, of the
            learner.
        config: its weights.
    """
    if "demo_obs" in batch:
        logits, value = policy_value(batch["demo_obs"], batch["demo_is_first"])
        shown = self_imitation_loss(
            *(logits.flatten(0, 1), value.flatten()),
            *(batch["demo_action"].flatten(), batch["demo_value"].flatten()),
            value_coef=config.sil_value_coef,
        )
        loss = loss + config.sil_coef * shown.loss
        measured = {**measured, "demo_better": shown.better, "demo_accuracy": shown.accuracy}
    return loss, {**measured, "loss": loss.detach()}
