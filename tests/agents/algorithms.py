"""Recipes for the corridor, and such as go wrong, where workers can import them."""

from __future__ import annotations

from typing import Any

from mario_agents.algos.dqn.algorithm import DDQNAlgorithm
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.testing.corridor import CORRIDOR
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig, ToyDataset, ToyLearner


class CorridorRecipe(DDQNAlgorithm):
    """Double DQN in the corridor."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CORRIDOR}


class PPOCorridorRecipe(PPOAlgorithm):
    """PPO in the corridor."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CORRIDOR}


class BrokenWorkers(ToyAlgorithm):
    """No worker gets far."""

    def dataset(self, *args: Any) -> ToyDataset:
        raise RuntimeError("the cartridge is dusty")


class Diverging(ToyAlgorithm):
    """Gradients that are not finite."""

    def learner(self, config: ToyConfig, spaces: Any) -> ToyLearner:
        learner = super().learner(config, spaces)
        compute = learner.compute_loss

        def infinite(batch: Any) -> Any:
            loss, measured = compute(batch)
            return loss * float("inf"), measured

        learner.compute_loss = infinite  # type: ignore[method-assign]
        return learner
