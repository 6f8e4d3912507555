"""What may change of a vector's games while they are played: how much things pay, and chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mario_envkit.arguments import as_float
from mario_envkit.errors import CallOrderError, OptionError
from mario_envkit.game.reward_options import reweighted
from mario_envkit.vector.copies import CopiedGames

if TYPE_CHECKING:
    from mario_envkit.env import MarioEnv


class ChangingGames(CopiedGames):
    """A vector environment as single ones that are changed alike, bit for bit."""

    _game: MarioEnv

    def set_reward_weights(self, weights: Mapping[str, float]) -> None:
        """Other weights, from the next step on, for terms that the games' reward has.

        Raises:
            OptionError: for terms that it does not have, and weights that are not possible.
            CallOrderError: between ``step_async()`` and ``step_wait()``, and while another thread
                steps or resets the games.
        """
        pool = self._begin()
        try:
            if self._waiting:
                raise CallOrderError("step_wait() must come before set_reward_weights().")
            function = reweighted(self._game.reward_function, weights)
            pool.set_reward(function)
            self._game.reward_function = function
        finally:
            self.step_lock.end()

    def set_repeat_action_probability(self, probability: float) -> None:
        """Another chance for all games, from the next step on; 0 is possible here, too.

        Raises:
            OptionError: if it is not from 0 up to, not including, 1, or the games were made without
                sticky actions, so that nothing remembers what they did last.
            CallOrderError: while another thread steps or resets the games.
        """
        name = "repeat_action_probability"
        chance = as_float(name, probability, least=0, below=1)
        self._begin()
        try:
            if self.chances.sticky_actions is None:
                raise OptionError(
                    f"Games that were made with {name}=0 cannot become sticky; make them with the "
                    "largest one that they are to have."
                )
            for layer in self.chances.sticky_actions:
                layer.repeat_action_probability = chance
        finally:
            self.step_lock.end()
