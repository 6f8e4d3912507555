"""The best weights of a run."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mario_agents.run.directory import RunDir
from mario_agents.run.storage import Deferrable
from mario_agents.run.weights import read_weights, write_weights
from mario_envkit.errors import RunError

Score = tuple[float, ...]
"""Compared from the first number on: what matters most comes first."""


class BestWeights:
    """``best.safetensors``: the weights with the highest score, whatever happens to the run.

    The score is stored with them. So a run that is resumed from an older checkpoint still knows it.
    Weights that the disk refuses are kept in memory, and written at the next :meth:`flush`.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self.score = self._stored()
        self._state = Deferrable(run.best_path.name)
        self._waiting: tuple[dict[str, torch.Tensor], dict[str, object]] | None = None

    def offer(
        self, score: Score, state_dict: Mapping[str, torch.Tensor], metadata: Mapping[str, object]
    ) -> bool:
        """Keep these weights if none had a higher score; says whether they were kept.

        Of equals the later ones are kept: they have learned from more.
        """
        if self.score is not None and score < self.score:
            return False
        texts = {**metadata, "score": " ".join(map(repr, score))}
        self._waiting = {name: tensor.clone() for name, tensor in state_dict.items()}, texts
        self.score = score
        self.flush()
        return True

    def flush(self) -> None:
        """Write the weights that are not on the disk yet, if there are any."""
        if self._waiting is not None:
            weights, texts = self._waiting
            if self._state.attempt(lambda: write_weights(self._run, weights, texts, "best")):
                self._waiting = None

    def close(self) -> None:
        """:meth:`flush` for the last time.

        Raises:
            RunError: if the best weights are not on the disk; older ones are intact.
        """
        self.flush()
        self._state.settle()

    def _stored(self) -> Score | None:
        if not self._run.best_path.is_file():
            return None
        _, metadata = read_weights(self._run, "best")
        try:
            return tuple(float(number) for number in metadata["score"].split())
        except (KeyError, ValueError) as error:
            raise RunError(
                f"{self._run.best_path} does not say how good it is ({error!r}): remove it."
            ) from error
