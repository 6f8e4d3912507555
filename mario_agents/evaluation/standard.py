"""One standard for every success rate.

Greedy success alone proves little: without perturbation a whole level is one game, played over and
over. So every level is played under six conditions, always from true starts: the best action or a
sampled one, and a console that obeys (plain), one that now and then repeats the action before for a
whole agent step (sticky), or one that draws that for every frame (frames). The latter is what the
Arcade Learning Environment does, and milder: an action is seldom late by more than two frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mario_agents.evaluation.conditions import CONDITIONS, Condition
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import Evaluation
from mario_agents.evaluation.spread import Spread
from mario_agents.evaluation.standard_options import Standard
from mario_envkit.plugins import Policy

__all__ = ["Standard", "StandardReport", "evaluate_levels"]


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
            lines += [self._mean_row(name, spread) for name, spread in self.spreads.items()]
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

    @staticmethod
    def _mean_row(condition: str, spread: Spread) -> str:
        return (
            f"{'mean':<10} {condition:<15} {'':>9} {spread.mean:>7.1%}  "
            f"worst tenth {spread.worst_tenth:.1%}, worst {spread.worst:.1%} ({spread.worst_level})"
        )

    @property
    def spreads(self) -> dict[str, Spread]:
        """How success rates are spread over the levels, by condition."""
        return {
            name: Spread.of(
                {level: row[name].success_rate.mean for level, row in self.levels.items()}
            )
            for name in next(iter(self.levels.values()))
        }

    def plain(self) -> dict[str, Any]:
        """The same as JSON-able values, episodes included."""
        return {
            "standard": asdict(self.standard),
            "over_levels": {name: asdict(spread) for name, spread in self.spreads.items()},
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
