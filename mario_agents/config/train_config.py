"""The configuration that every trainer has: the sum of the option groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mario_agents.config.cluster import ClusterOptions
from mario_agents.config.evaluation import EvaluationOptions
from mario_agents.config.groups import (
    ExperienceOptions,
    GameOptions,
    OptionGroup,
    RunOptions,
    SharingOptions,
)
from mario_agents.config.schedules import WEIGHTS, Schedule, check_values, parse_schedules
from mario_envkit.errors import ConfigError, OptionError
from mario_envkit.game.reward_options import weighted

if TYPE_CHECKING:
    from typing_extensions import Self

STICKY = "repeat_action_probability"
GROUPS: tuple[type[OptionGroup], ...] = (
    GameOptions,
    ExperienceOptions,
    RunOptions,
    SharingOptions,
    ClusterOptions,
    EvaluationOptions,
)
"""In the order of ``--help``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(
    EvaluationOptions,
    ClusterOptions,
    SharingOptions,
    RunOptions,
    ExperienceOptions,
    GameOptions,
):
    """Options that every trainer has; a trainer's own configuration is a subclass that adds its
    own, each with its help text as a string under the field, and may change defaults.

    Attributes:
        SCHEDULABLE: options that may change while a run goes on (``schedule``), beside weights of
            the reward.
    """

    RESUMABLE: ClassVar[frozenset[str]] = frozenset[str]().union(*(g.RESUMABLE for g in GROUPS))
    PATHS: ClassVar[frozenset[str]] = frozenset[str]().union(*(g.PATHS for g in GROUPS))

    SCHEDULABLE: ClassVar[frozenset[str]] = frozenset({STICKY})

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_schedules()
        sticky = self.repeat_action_probability
        if isinstance(sticky, tuple) and len(sticky) > self.num_envs:
            raise ConfigError(
                f"repeat_action_probability has {len(sticky)} numbers for {self.num_envs} "
                "environments; give fewer of them, or more num_envs."
            )
        if self.engine == "ray" and not self.workers:
            raise ConfigError(
                "--engine ray is for runs with workers: give --workers 1 or more, or --engine "
                "processes."
            )

    def _check_schedules(self) -> None:
        schedules = self.schedules
        check_values(type(self), schedules)
        if STICKY in schedules and isinstance(self.repeat_action_probability, tuple):
            raise ConfigError(
                f"{STICKY} has a number for each environment, and a schedule for all of them; give "
                "one of the two."
            )
        try:
            reward = weighted(self.reward, self._weights_at_end)
        except OptionError as error:
            raise ConfigError(f"schedule: {error}") from None
        if reward.stalls and self.stall_limit is None:
            raise ConfigError("The reward has a price for stalls: say when with a stall_limit.")

    @property
    def schedules(self) -> dict[str, Schedule]:
        """What ``schedule`` says, by the names of options."""
        return parse_schedules(self.schedule, self.SCHEDULABLE, self.total_steps)

    def scheduled(self, name: str) -> Schedule:
        """An option that is a number by agent step: its schedule, or what it is all the time."""
        value: float = getattr(self, name)
        return self.schedules.get(name) or Schedule(value, value, 0, 0)

    def scheduled_values(self, step: int) -> dict[str, float]:
        """What options that have a schedule are at agent step ``step``, by name."""
        return {name: schedule(step) for name, schedule in self.schedules.items()}

    @property
    def pays_for_path(self) -> bool:
        """Whether the reward pays for ground along the runs that are followed, now or then."""
        scheduled = self.schedules.get(f"{WEIGHTS}path")
        weights = (self.reward_weights.get("path", 0), *(scheduled.corners if scheduled else ()))
        return any(weights)

    @property
    def _weights_at_end(self) -> dict[str, float]:
        ends = {name: schedule.corners[-1] for name, schedule in self.schedules.items()}
        return {**self.reward_weights, **weights_in(ends)}

    def env_kwargs(self) -> dict[str, Any]:
        """Those of the game; its reward is what schedules end with, by which evaluations count, and
        its actions are as sticky as they become."""
        kwargs, sticky = super().env_kwargs(), self.schedules.get(STICKY)
        if weights := self._weights_at_end:
            kwargs["reward_weights"] = weights
        if sticky is not None:
            kwargs[STICKY] = max(sticky.corners)
        return kwargs

    def resolved(self) -> Self:
        """The same options with what was left to this machine decided.

        That is what a run stores, so that another machine builds the same networks from it.
        """
        return dataclasses.replace(self, crop_top=self.rows_cut)

    def replay_bytes(self) -> int:
        """Bytes of memory that the experience which the processes of a run keep grows to; by
        default 0, for what is too little to be mentioned."""
        return 0


def weights_in(values: Mapping[str, float]) -> dict[str, float]:
    """The weights of terms of the reward among values of options, by the names of the terms."""
    return {
        name.removeprefix(WEIGHTS): value
        for name, value in values.items()
        if name.startswith(WEIGHTS)
    }
