"""Options of trainers that keep demonstrations in their replay buffer."""

from __future__ import annotations

import dataclasses

from mario_agents.config.groups import OptionGroup
from mario_agents.config.scalars import Chance, NonNegativeInt, PositiveInt


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemonstrationOptions(OptionGroup):
    """What becomes of the runs that --imitate names."""

    HEADING = "demonstrations"

    imitate_steps: NonNegativeInt = 1_000
    """Updates from batches of demonstrations alone, before a run plays itself; they are none of
    total_steps."""
    demo_ratio: Chance = 0.25
    """Share of demonstrations in each batch from then on; 0 learns from them before it plays and
    never again."""
    demo_size: PositiveInt = 50_000
    """Agent steps of demonstrations that are kept beside a replay buffer, and never leave it: those
    of each run as it is, and of as many games with a little chance as there is room for."""

    def demo_share(self, batch_size: int) -> int:
        """Demonstrations in a batch of a run that imitates: at most all but one."""
        return min(round(self.demo_ratio * batch_size), batch_size - 1)
