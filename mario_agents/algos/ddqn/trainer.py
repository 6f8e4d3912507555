"""The plug-in ``ddqn``."""

from __future__ import annotations

from mario_agents.algos.ddqn.recipe import DDQNRecipe
from mario_agents.parallel.trainer import RecipeTrainer

TRAINER = RecipeTrainer(
    DDQNRecipe(), "Dueling double DQN with n-step returns and prioritized replay, from pixels."
)
