"""What acts: in training, in evaluation and in playback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.types import State

Mode = Literal["explore", "greedy", "sample"]
"""How actions are chosen: as in training, the best one, or as the agent is evaluated by sampling
(which may explore less than training does)."""


class Policy(Protocol):
    """Networks and random numbers that choose actions.

    It keeps no state of the games: what a recurrent network remembers is given and returned.
    Whoever derives from this class need only write :meth:`act`, and :meth:`initial` if there is a
    state.
    """

    device: torch.device
    """Where observations and states belong."""

    def initial(self, n: int) -> State:
        """The state of ``n`` games before their first step; ``()`` for a feed-forward network."""
        return ()

    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """Choose an action for each of ``N`` games, without gradients.

        Args:
            obs: ``(N, ...)`` uint8.
            state: what the call before returned, or :meth:`initial`.
            is_first: ``(N,)`` bool, where a game begins anew: there the policy clears ``state``
                before it uses it (:func:`~mario_agents.core.types.clear_state`).
            mode: see :data:`Mode`.
            step: agent steps of the whole run so far, which schedules depend on.

        Returns:
            Actions ``(N,)`` int64; with ``mode="explore"`` what the dataset is to keep of the
            choice, by column name, each ``(N, ...)`` (log-probabilities, values, the state...);
            and the state for the next call.
        """

    def shown(self, n: int) -> NDArray[np.bool_]:
        """``(n,)``, of which games returns and success are shown while it explores in ``n``: by
        default all. A policy that explores more in some of its games than in others leaves out
        those that say little of how good it is."""
        return np.ones(n, dtype=np.bool_)

    def gauges(self, step: int) -> dict[str, float]:
        """Metrics of exploration (``epsilon``...) at agent step ``step`` of the run."""
        return {}

    def seed(self, seed: int) -> None:
        """Begin the random numbers anew, so that the same games are played the same again whatever
        was played before. Without random numbers there is nothing to do."""
        return

    def tensors(self) -> dict[str, Tensor]:
        """Random states for a checkpoint, by name."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over :meth:`tensors`.

        Raises:
            KeyError: if something is missing.
        """
        return


class SeededPolicy(Policy):
    """A policy whose random numbers are all from one generator on the CPU, ``self._rng``.

    Args:
        seed: of the random numbers.
    """

    def __init__(self, seed: int) -> None:
        self._rng = torch.Generator().manual_seed(seed)

    def seed(self, seed: int) -> None:
        """Begin the random numbers anew."""
        self._rng.manual_seed(seed)

    def tensors(self) -> dict[str, Tensor]:
        """The state of the random numbers."""
        return {"rng": self._rng.get_state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over :meth:`tensors`."""
        self._rng.set_state(tensors["rng"])


class Dream(NamedTuple):
    """What a world model makes of ``T`` observations in a row, of which it has looked at the first.

    Attributes:
        reconstruction: ``(T, ...)`` uint8, each as the model sees it when it looks.
        prediction: ``(T, ...)`` uint8, each as it was expected after that look at the first.
        reward: ``(T,)`` float32, what was expected to come with it.
    """

    reconstruction: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    reward: NDArray[np.float32]


@runtime_checkable
class DreamingPolicy(Policy, Protocol):
    """A policy that has a world model."""

    @property
    def has_decoder(self) -> bool:
        """Whether the world model has pictures of what it expects; without, it cannot dream."""

    def dream(
        self, obs: NDArray[Any], action: NDArray[np.int64], state: State, *, is_first: bool
    ) -> tuple[Dream, State]:
        """Look at the first of ``T`` observations of one game, and imagine the others.

        Args:
            obs: ``(T, ...)`` uint8.
            action: ``(T,)``, what was done at each; of the last it is of no account for the dream.
            state: what the call before returned, or :meth:`Policy.initial` of 1 game.
            is_first: whether a game begins with the first observation.

        Returns:
            The dream, and the state after the last observation when all of them are looked at.
        """
