"""One standard for every success rate.

Greedy success alone proves little: without perturbation a whole level is one game, played over and
over. So every level is played under six conditions, always from true starts: the best action or a
sampled one, and a console that obeys (plain), one that now and then repeats the action before for a
whole agent step (sticky), or one that draws that for every frame (frames). The latter is what the
Arcade Learning Environment does, and milder: an action is seldom late by more than two frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from msgspec import Meta

from mario_agents.config import NonNegativeInt, PositiveInt
from mario_agents.evaluation.conditions import CONDITIONS, Condition
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalProtocol, Evaluation
from mario_agents.evaluation.seeds import FIRST
from mario_envkit.plugins import Policy


@dataclass(frozen=True, slots=True)
class Standard:
    """How a level is measured.

    Attributes:
        episodes: for each condition.
        sticky: probability that the console sees the action before again (Machado et al.,
            "Revisiting the Arcade Learning Environment", JAIR 2018): in an agent step under the
            sticky conditions, in a frame under those named frames.
        noop_max: an episode begins with 0 to so many idle frames.
        seed: episode ``i`` of every condition is seeded with ``seed + i``; below the seeds by which
            weights were chosen while they trained.
    """

    episodes: PositiveInt = 100
    sticky: Annotated[float, Meta(gt=0, lt=1)] = 0.25
    noop_max: NonNegativeInt = 30
    seed: Annotated[int, Meta(ge=0, lt=FIRST)] = 0

    @property
    def is_whole(self) -> bool:
        """Whether success rates measured so may stand beside others: as the defaults say, whatever
        the seed, with as many episodes or more."""
        whole = Standard(seed=self.seed)
        return self.episodes >= whole.episodes and replace(self, episodes=whole.episodes) == whole

    def __str__(self) -> str:
        return (
            f"{self.episodes} episodes under each of {len(CONDITIONS)} conditions, "
            f"up to {self.noop_max} no-op frames, sticky {self.sticky:g}"
        )

    def protocol(self, condition: Condition) -> EvalProtocol:
        """How episodes are played under one of
        :data:`~mario_agents.evaluation.conditions.CONDITIONS`."""
        choice, console = condition.split("-")
        return EvalProtocol(
            episodes=self.episodes,
            greedy=choice == "greedy",
            sticky=0.0 if console == "plain" else self.sticky,
            per_frame=console == "frames",
            noop_max=self.noop_max,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class StandardReport:
    """What was measured: by level, by condition."""

    standard: Standard
    levels: Mapping[str, Mapping[str, Evaluation]]

    def text(self) -> str:
        """A table for people."""
        standard = self.standard
        lines = [
            f"{standard.episodes} episodes each, from true starts, up to {standard.noop_max} no-op "
            f"frames, sticky {standard.sticky:g}, seed {standard.seed}; 95 % intervals (Wilson)",
            f"{'level':<10} {'condition':<15} {'cleared':>9} {'rate':>7}  {'interval':<16} "
            f"{'mean x':>7} {'games':>5}  endings",
        ]
        for level, conditions in self.levels.items():
            lines += [self._row(level, name, result) for name, result in conditions.items()]
        if len(self.levels) > 1:
            lines += [self._mean_row(name) for name in next(iter(self.levels.values()))]
        lines.append("games: different ones among the episodes")
        if any(result.full_game for row in self.levels.values() for result in row.values()):
            lines.append(
                "full: cleared are whole games won, stages are the flags and axes reached in a game"
            )
        return "\n".join(lines)

    @staticmethod
    def _row(level: str, condition: str, result: Evaluation) -> str:
        rate = result.success_rate
        wins = sum(episode.success for episode in result.episodes)
        endings = ", ".join(f"{name} {count}" for name, count in result.endings.items())
        if result.full_game:
            mean, most = result.stages_cleared.mean, result.most_stages
            endings += f"; stages {mean:.1f} on average, at most {most}"
        interval = f"{rate.low:.1%} to {rate.high:.1%}"
        return (
            f"{level:<10} {condition:<15} {f'{wins}/{len(result.episodes)}':>9} {rate.mean:>7.1%}  "
            f"{interval:<16} {result.mean_x.mean:>7.1f} {result.distinct:>5}  {endings}"
        )

    def _mean_row(self, condition: str) -> str:
        rates = [conditions[condition].success_rate.mean for conditions in self.levels.values()]
        return f"{'mean':<10} {condition:<15} {'':>9} {sum(rates) / len(rates):>7.1%}"

    def plain(self) -> dict[str, Any]:
        """The same as JSON-able values, episodes included."""
        return {
            "standard": asdict(self.standard),
            "levels": {
                level: {name: result.plain() for name, result in conditions.items()}
                for level, conditions in self.levels.items()
            },
        }


def evaluate_levels(
    policy: Policy,
    env_kwargs: Mapping[str, Any],
    standard: Standard,
    *,
    levels: Sequence[str] = (),
    conditions: Sequence[Condition] = CONDITIONS,
    max_envs: int = 50,
    make: Callable[..., Any] | None = None,
    on_episode: Callable[[str, str], object] | None = None,
) -> StandardReport:
    """Measure a policy.

    Args:
        policy: the agent.
        env_kwargs: as a trainer's ``env_kwargs`` gives them.
        standard: how.
        levels: what to play, each as for ``level=``; none is where the policy was trained.
        conditions: some of :data:`~mario_agents.evaluation.conditions.CONDITIONS`.
        max_envs: environments stepped together.
        make: see :func:`~mario_agents.evaluation.evaluate.evaluate`.
        on_episode: called with level and condition after each episode.

    Raises:
        MarioEnvkitError: if the environment cannot be made.
    """
    report: dict[str, dict[str, Evaluation]] = {}
    places: list[tuple[str, dict[str, Any]]] = [(level, {"level": level}) for level in levels]
    for level, place in places or [(str(env_kwargs.get("level", "as trained")), {})]:
        report[level] = {}
        for condition in conditions:

            def count(level: str = level, condition: str = condition) -> None:
                if on_episode is not None:
                    on_episode(level, condition)

            report[level][condition] = evaluate(
                policy, {**env_kwargs, **place}, standard.protocol(condition),
                max_envs=max_envs, make=make, on_episode=count,
            )  # fmt: skip
    return StandardReport(standard, report)
