"""What an evaluation finds: episodes, and intervals around every mean; plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from mario_agents.config import NonNegativeInt, PositiveInt
from mario_agents.evaluation.intervals import bootstrap_interval, wilson_interval
from mario_envkit.game.endings import is_success, stage_of_step


@dataclass(frozen=True, slots=True)
class EvalEpisode:
    """One episode.

    Attributes:
        level: where it ended, such as "1-1"; after a warp, the stage that it left.
        success: it reached its goal: the flag (or axe) of its stage, in the full game the last axe.
        reward: the return, undiscounted, in the run's own reward function.
        best_x: farthest x in pixels.
        steps: agent steps.
        ending: "flag", "warp" (the stage was left for another one without its flag), the cause of
            the death that ended it ("enemy", "pit", "clock"), or "stalled" (truncated).
        stages_cleared: stages whose flag was reached.
        trajectory: digest of the x after every step: two episodes with the same one are the same
            game, idle frames at its beginning apart. Empty where nobody asked for it.
    """

    level: str
    success: bool
    reward: float
    best_x: int
    steps: int
    ending: str
    stages_cleared: int = 0
    trajectory: str = field(default="", compare=False)

    @classmethod
    def ended(
        cls,
        info: Mapping[str, Any],
        reward: float,
        best_x: int,
        steps: int,
        trajectory: str = "",
        *,
        begun: str,
    ) -> EvalEpisode:
        """The episode whose last step gave ``info``, and that began in level ``begun``."""
        ending = str(info["ending"] or "stalled")
        return cls(
            level=stage_of_step(str(info["level"]), ending, begun),
            success=bool(is_success(ending)),
            reward=float(reward),
            best_x=int(best_x),
            steps=int(steps),
            ending=ending,
            stages_cleared=int(info["stages_cleared"]),
            trajectory=trajectory,
        )


@dataclass(frozen=True, slots=True)
class EvalProtocol:
    """How episodes are played.

    Attributes:
        episodes: how many.
        greedy: the best action, or sampled as the agent explores.
        sticky: probability that the console sees the previous action again.
        noop_max: most idle frames before the agent takes over. Without sticky actions and without
            these, a greedy policy plays the same game every time.
        seed: of environments; episode ``i`` is seeded with ``seed + i``.
        per_frame: whether the console repeats is drawn for every frame, as in the Arcade Learning
            Environment, and not for whole agent steps.
        levels: single ones, which the episodes play in turn; none leaves it to the environment.
    """

    episodes: PositiveInt = 20
    greedy: bool = True
    sticky: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    noop_max: NonNegativeInt = 30
    seed: NonNegativeInt = 0
    per_frame: bool = False
    levels: tuple[str, ...] = ()

    def level_of(self, number: int) -> dict[str, Any]:
        """Keyword arguments that say which level episode ``number`` plays; perhaps none."""
        return {"level": self.levels[number % len(self.levels)]} if self.levels else {}

    def env_overrides(self) -> dict[str, Any]:
        """Keyword arguments that make a run's environment one of this protocol, but for
        :meth:`level_of`."""
        return {
            "repeat_action_probability": 0.0 if self.per_frame else self.sticky,
            "repeat_frame_probability": self.sticky if self.per_frame else 0.0,
            "noop_max": self.noop_max,
        }

    def __str__(self) -> str:
        choice = "greedy" if self.greedy else "sampled"
        return (
            f"{self.episodes} episodes from true starts, {choice}, sticky "
            f"{'frames ' if self.per_frame else ''}{self.sticky:g}, "
            f"up to {self.noop_max} no-op frames, seed {self.seed}"
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All episodes of an evaluation, and what they say together.

    Attributes:
        protocol, episodes: what was played.
        full_game: the whole game and not a single stage: success is a game won.
    """

    protocol: EvalProtocol
    episodes: tuple[EvalEpisode, ...]
    full_game: bool = False

    @property
    def success_rate(self) -> Estimate:
        """Share of episodes that reached their goal, Wilson interval."""
        wins = sum(episode.success for episode in self.episodes)
        return Estimate(wins / len(self.episodes), *wilson_interval(wins, len(self.episodes)))

    @property
    def mean_x(self) -> Estimate:
        """Mean farthest x in pixels, bootstrap interval."""
        return _mean([episode.best_x for episode in self.episodes])

    @property
    def mean_reward(self) -> Estimate:
        """Mean return, bootstrap interval."""
        return _mean([episode.reward for episode in self.episodes])

    @property
    def stages_cleared(self) -> Estimate:
        """Mean number of stages cleared in an episode, bootstrap interval."""
        return _mean([episode.stages_cleared for episode in self.episodes])

    @property
    def most_stages(self) -> int:
        """The most stages cleared in an episode."""
        return max(episode.stages_cleared for episode in self.episodes)

    @property
    def distinct(self) -> int:
        """How many different games were played (see :attr:`EvalEpisode.trajectory`)."""
        return len({episode.trajectory for episode in self.episodes})

    @property
    def rates(self) -> dict[str, float]:
        """Share of the episodes of each level that reached their goal."""
        wins: dict[str, list[bool]] = {}
        for episode in self.episodes:
            wins.setdefault(episode.level, []).append(episode.success)
        return {level: sum(each) / len(each) for level, each in sorted(wins.items())}

    @property
    def endings(self) -> dict[str, int]:
        """How many episodes ended in which way, the most frequent first."""
        return dict(Counter(episode.ending for episode in self.episodes).most_common())

    def text(self) -> str:
        """A few lines for people."""
        rate, x, reward = self.success_rate, self.mean_x, self.mean_reward
        wins = sum(episode.success for episode in self.episodes)
        lines = [
            str(self.protocol),
            f"{'games won   ' if self.full_game else 'success rate'}  {rate.mean:.1%}  "
            f"({wins}/{len(self.episodes)}; "
            f"95 % Wilson interval {rate.low:.1%} to {rate.high:.1%})",
        ]
        if self.full_game:
            stages = self.stages_cleared
            lines.append(
                f"stages        {stages.mean:.1f} cleared  (95 % bootstrap interval "
                f"{stages.low:.1f} to {stages.high:.1f}; most {self.most_stages})"
            )
        lines += [
            f"mean x        {x.mean:.1f}  (95 % bootstrap interval {x.low:.1f} to {x.high:.1f})",
            f"mean return   {reward.mean:.2f}  "
            f"(95 % bootstrap interval {reward.low:.2f} to {reward.high:.2f})",
            "endings       " + ", ".join(f"{name} {n}" for name, n in self.endings.items()),
        ]
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """The same as JSON-able values, episodes included: a list for each of their fields, as a
        table has columns."""
        protocol = asdict(self.protocol)
        if not self.protocol.levels:
            del protocol["levels"]  # as in files of results, which are of one level each
        return {
            "protocol": protocol,
            "success_rate": asdict(self.success_rate),
            "mean_x": asdict(self.mean_x),
            "mean_return": asdict(self.mean_reward),
            "stages_cleared": {**asdict(self.stages_cleared), "most": self.most_stages},
            "full_game": self.full_game,
            "distinct": self.distinct,
            "endings": self.endings,
            "episodes": {
                each.name: [getattr(episode, each.name) for episode in self.episodes]
                for each in fields(EvalEpisode)
            },
        }


def _mean(values: Sequence[float]) -> Estimate:
    return Estimate(float(np.mean(values)), *bootstrap_interval(values))
