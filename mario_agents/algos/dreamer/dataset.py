"""Sequences with the states that the world model was in."""

from __future__ import annotations

import numpy as np

from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.sizes import SIZES
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.dataset import NumpyBatch
from mario_agents.replay.sequence_replay import SequenceReplay
from mario_agents.replay.storage import Storage

CONTEXT = 1
"""Observations before each sequence: the state at the last one is what it begins with."""


class DreamerReplay(SequenceReplay):
    """Sequences, each batch with the seed of all that is random in its loss.

    Batches are due for steps that come while there is enough to draw from: neither those before
    nor a checkpoint leave a debt, which would be paid in a burst.

    Args:
        config, spaces, context: of the run.
        batch_size: sequences in a batch.
        demonstrations: the storage of a buffer of demonstrations instead; the states in it are
            unknown (zero) until they have been learned from.
    """

    def __init__(
        self,
        config: DreamerConfig,
        spaces: Spaces,
        context: WorkerContext,
        batch_size: int,
        demonstrations: Storage | None = None,
    ) -> None:
        storage, purpose = demonstrations, "demonstrations"
        if storage is None:
            purpose = "replay"
            storage = Storage(
                config.buffer_size,
                config.num_envs,
                spaces.obs_shape,
                workers=context.shards,
                stacked=config.frame_stack > 1,
                extras=SIZES[config.size].state_columns,
                short_episodes=config.short_episodes,
            )
        super().__init__(
            storage,
            np.random.default_rng(context.seed_for(purpose)),
            batch_size=batch_size,
            length=config.batch_length,
            context=CONTEXT,
            online=config.online and demonstrations is None,
            learning_starts=config.learning_starts,
            train_every=config.train_every,
            save=config.save_replay,
            error_buffer=config.error_buffer or 8 * config.collect_steps,
        )
        self._config = config
        self._scheduled = {
            name: schedule
            for name, schedule in config.schedules.items()
            if name in ("entropy_coef", "gamma")
        }

    def draw(self, at: int, size: int | None = None) -> NumpyBatch:
        """What :meth:`SequenceReplay.draw` gives, and numbers: ``seed``, and, where they have
        schedules, ``gamma`` and ``entropy_coef``."""
        drawn = {**super().draw(at, size), "seed": np.array(self.rng.integers(2**62))}
        return {**drawn, **{name: np.float32(now(at)) for name, now in self._scheduled.items()}}

    def gauges(self) -> dict[str, float]:
        """``buffer_size``; ``filled``, how much of what the first batch needs is there; and
        ``train_ratio``, observations learned from for each step since then, in this process."""
        gauges, length = super().gauges(), self._config.batch_length
        return {
            "buffer_size": gauges["buffer_size"],
            "filled": min(len(self.storage) / self._config.learning_starts, 1.0),
            "train_ratio": gauges["samples_per_insert"] * length / (length + CONTEXT),
        }
