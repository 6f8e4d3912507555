"""The configuration that every trainer has: the sum of the option groups."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from mario_agents.config.groups import (
    EvaluationOptions,
    ExperienceOptions,
    GameOptions,
    OptionGroup,
    RunOptions,
    SharingOptions,
)
from mario_envkit.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self

GROUPS: tuple[type[OptionGroup], ...] = (
    GameOptions,
    ExperienceOptions,
    RunOptions,
    SharingOptions,
    EvaluationOptions,
)
"""In the order of ``--help``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(EvaluationOptions, SharingOptions, RunOptions, ExperienceOptions, GameOptions):
    """Options that every trainer has; a trainer's own configuration is a subclass that adds its
    own, each with its help text as a string under the field, and may change defaults."""

    RESUMABLE: ClassVar[frozenset[str]] = frozenset[str]().union(*(g.RESUMABLE for g in GROUPS))
    PATHS: ClassVar[frozenset[str]] = frozenset[str]().union(*(g.PATHS for g in GROUPS))

    def __post_init__(self) -> None:
        super().__post_init__()
        sticky = self.repeat_action_probability
        if isinstance(sticky, tuple) and len(sticky) > self.num_envs:
            raise ConfigError(
                f"repeat_action_probability has {len(sticky)} numbers for {self.num_envs} "
                "environments; give fewer of them, or more num_envs."
            )

    def resolved(self) -> Self:
        """The same options with what was left to this machine decided.

        That is what a run stores, so that another machine builds the same networks from it.
        """
        return dataclasses.replace(self, crop_top=self.rows_cut)

    def replay_bytes(self) -> int:
        """Bytes of memory that the experience which the processes of a run keep grows to; by
        default 0, for what is too little to be mentioned."""
        return 0
