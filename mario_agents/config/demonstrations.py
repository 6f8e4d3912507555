"""Options of trainers that keep demonstrations in their replay buffer."""

from __future__ import annotations

import dataclasses

from mario_agents.config.groups import OptionGroup
from mario_agents.config.scalars import Chance, PositiveInt


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemonstrationOptions(OptionGroup):
    """What becomes of the runs that --imitate names."""

    HEADING = "demonstrations"

    demo_ratio: Chance = 0.25
    """Share of demonstrations in each batch while the run plays; 0 learns from them before it plays
    and never again."""
    demo_size: PositiveInt = 50_000
    """Agent steps of demonstrations that are kept, beside the replay buffer if there is one, and
    never leave: those of each run as it is, and of as many games with a little chance as there is
    room for."""

    def demo_share(self, batch_size: int) -> int:
        """Demonstrations in a batch of a run that imitates: at most all but one."""
        return min(round(self.demo_ratio * batch_size), batch_size - 1)
