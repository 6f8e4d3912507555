"""The plug-in ``ppo``."""

from __future__ import annotations

from mario_agents.algos.ppo.recipe import PPORecipe
from mario_agents.parallel.trainer import RecipeTrainer

TRAINER = RecipeTrainer(
    PPORecipe(),
    "Proximal policy optimization, from pixels or from tiles; the fastest way to a flag.",
)
