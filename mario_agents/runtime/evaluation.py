"""What an evaluation during training is, in whichever process it is played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.acting.plugin_policy import PluginPolicy
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.policy import Dream, DreamingPolicy, Mode, Policy
from mario_agents.core.types import State
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.intervals import wilson_interval
from mario_agents.evaluation.results import EvalProtocol, Evaluation
from mario_agents.evaluation.seeds import training_seed
from mario_agents.evaluation.spread import Spread
from mario_agents.playback.camera import tell_missing
from mario_agents.playback.video_recorder import VideoRecorder
from mario_agents.run.best import Score
from mario_agents.run.records import EvaluationRecord, PlayedEpisode
from mario_envkit.curriculum.level_text import each_level
from mario_envkit.errors import LevelError

if TYPE_CHECKING:
    from typing_extensions import Self

STICKY = 0.25
"""Probability of repeating an action in the perturbed half of an evaluation. Without it all greedy
episodes are nearly one and the same, and their success says little (Machado et al., "Revisiting the
Arcade Learning Environment", JAIR 2018, section 5)."""
MAX_ENVS = 64
"""Episodes played at once: beside training, steps take long, and not the games in them."""

_STAGE = 100_000
"""Pixels that a cleared stage counts for: more than any stage is long."""


class EvaluationResult(tuple[Evaluation, ...]):
    """Greedy episodes on a console that obeys, as many on one with sticky actions, and perhaps
    sampled ones on one that obeys."""

    __slots__ = ()
    NAMES = "obedient", "sticky", "sampled"

    def __new__(cls, plain: Evaluation, sticky: Evaluation, *sampled: Evaluation) -> Self:
        """Of two or three evaluations."""
        return super().__new__(cls, (plain, sticky, *sampled))

    @property
    def score(self) -> tuple[float, float]:
        """Mean success, and how far they came: of the full game, above all in stages."""
        success = sum(each.success_rate.mean for each in self) / len(self)
        stages = sum(each.stages_cleared.mean for each in self if each.full_game) / len(self)
        return success, sum(each.mean_x.mean for each in self) / len(self) + _STAGE * stages

    def text(self) -> str:
        """One line for people."""
        said = []
        for name, found in zip(self.NAMES, self, strict=False):
            wins = sum(episode.success for episode in found.episodes)
            x, reward = found.mean_x.mean, found.mean_reward.mean
            flags = f"{wins} of {len(found.episodes)} to the flag"
            if found.full_game:
                flags = (
                    f"{wins} of {len(found.episodes)} games won, stages cleared "
                    f"{found.stages_cleared.mean:.1f} (most {found.most_stages})"
                )
            elif len(rates := found.rates) > 1:
                spread = Spread.of(rates)
                flags += (
                    f" (worst tenth of {len(rates)} levels {spread.worst_tenth:.0%}, "
                    f"worst {spread.worst_level} {spread.worst:.0%})"
                )
            said.append(f"{name}: {flags}, mean x {x:.0f}, return {reward:.1f}")
        return "; ".join(said)

    def played(self) -> tuple[tuple[PlayedEpisode, ...], ...]:
        """The episodes of each."""
        return tuple(tuple(map(PlayedEpisode.of, each.episodes)) for each in self)


class Verdict(NamedTuple):
    """What one or two stages found.

    Attributes:
        first: of every evaluation.
        second: fresh episodes of weights that may be the best so far, see
            :func:`may_be_better`; None where nobody asked for them, or they were not worth it.
    """

    first: EvaluationResult
    second: EvaluationResult | None = None

    def text(self) -> str:
        """One line for people."""
        fresh = f"; once more with other seeds: {self.second.text()}" if self.second else ""
        return self.first.text() + fresh

    def record(self, step: int, seconds: float, known: float, time: float) -> EvaluationRecord:
        """What is kept of it: the weights were taken at ``step``, after ``seconds`` of training;
        the last episode ended after ``known`` seconds, at the Unix time ``time``."""
        plain, sticky = self.first.played()
        confirmed = self.second.played() if self.second else ()
        return EvaluationRecord(
            step, plain, sticky, round(seconds, 3), round(known, 3), time, confirmed
        )


def may_be_better(found: EvaluationResult, best: Score | None) -> bool:
    """Whether weights may be at least as good as the best so far.

    Args:
        found: of their first stage, plain and sticky.
        best: the score of the best, of its second stage, a third of which is sampled.

    Returns:
        False where the 95 % interval of their success lies below, even if they should win all that
        is sampled; where nobody has succeeded yet, where they did not come as far.
    """
    wins = sum(episode.success for each in found for episode in each.episodes)
    trials = sum(len(each.episodes) for each in found)
    if best is None:
        return True
    if not wins and not best[0]:
        return found.score >= best
    return (2 * wilson_interval(wins, trials)[1] + 1) / 3 >= best[0]


def levels_in_turn(env_kwargs: Mapping[str, Any], seed: int) -> tuple[str, ...]:
    """The levels that the episodes of an evaluation play, one after the other, each as often as the
    others; none where it is a single one, the full game, or a game of somebody's own.

    Which ones have one episode more, or with fewer episodes than levels any at all, is the seed's
    to say. Left to the order of training they would be drawn, and every evaluation would judge by
    others; and an order that hears of outcomes would always begin with its first one.
    """
    level = env_kwargs.get("level")
    if "id" in env_kwargs or not isinstance(level, str):
        return ()
    try:
        levels = each_level(level, env_kwargs.get("game", "smb"))
    except LevelError:
        return ()
    order = np.random.default_rng(seed).permutation(len(levels))
    return tuple(str(levels[place]) for place in order) if len(levels) > 1 else ()


class EvaluationPlayer:
    """Plays evaluations with a model of its own.

    Args:
        algorithm, config: whose weights are evaluated.
        spaces: of the environments.
        device: where the model computes.
        between: called before every step that is played.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        spaces: Spaces,
        device: torch.device,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        self._algorithm, self._config, self._device = algorithm, config, device
        self._between = between
        self._learner = algorithm.learner(config, spaces)
        self._learner.model.to(device)

    def evaluate(
        self, weights: Mapping[str, Tensor], step: int, best: Score | None = None
    ) -> Verdict:
        """Evaluate the weights of :meth:`Algorithm.player
        <mario_agents.core.algorithm.Algorithm.player>`.

        Args:
            weights: as they were at agent step ``step``.
            step: decides on the seeds.
            best: the highest score before, for a second stage.
        """
        config = self._config
        torch.set_num_threads(1)  # more would wait for one another beside training
        first = self._stage(weights, config.eval_episodes, training_seed(config.seed, step, 1))
        if not config.confirm_episodes or not may_be_better(first, best):
            return Verdict(first)
        seed = training_seed(config.seed, step, 2)
        return Verdict(first, self._stage(weights, config.confirm_episodes, seed, sampled=True))

    def _stage(
        self, weights: Mapping[str, Tensor], episodes: int, seed: int, *, sampled: bool = False
    ) -> EvaluationResult:
        kwargs = self._algorithm.env_kwargs(self._config)
        levels = levels_in_turn(kwargs, seed)

        def play(sticky: float, *, greedy: bool = True) -> Evaluation:
            protocol = EvalProtocol(episodes, greedy, sticky, seed=seed, levels=levels)
            return evaluate(self._policy(weights), kwargs, protocol, max_envs=MAX_ENVS)

        more = (play(0.0, greedy=False),) if sampled else ()
        return EvaluationResult(play(0.0), play(STICKY), *more)

    def record(
        self,
        videos: Path,
        weights: Mapping[str, Tensor],
        step: int,
        result: EvaluationResult,
        best: tuple[float, ...] | None,
    ) -> None:
        """Record the best episode of an evaluation of ``weights``, if it is one to remember, and
        what an agent that dreams expected in it, see
        :meth:`VideoRecorder.offer
        <mario_agents.playback.video_recorder.VideoRecorder.offer>`."""
        try:
            recorder = VideoRecorder(videos, self._algorithm.env_kwargs(self._config))
            recorder.offer(result, result.score, best, self._policy(weights), step)
        except Exception as error:  # of an algorithm that has played well until now
            tell_missing(f"There is no video of step {step}", error)

    def _policy(self, weights: Mapping[str, Tensor]) -> PluginPolicy:
        self._algorithm.player(self._learner).load_state_dict(weights)
        context = WorkerContext(0, 1, self._config.seed, 0, 0, self._device)
        policy = self._algorithm.policy(self._config, self._learner, context)
        if isinstance(policy, DreamingPolicy):
            return PluginPolicy(_InterruptedDreamer(policy, self._between))
        return PluginPolicy(_Interrupted(policy, self._between))


class _Interrupted(Policy):
    """A policy before each of whose steps something else is done."""

    def __init__(self, policy: Policy, between: Callable[[], object]) -> None:
        self._policy, self._between = policy, between
        self.device = policy.device

    def initial(self, n: int) -> State:
        return self._policy.initial(n)

    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        self._between()
        return self._policy.act(obs, state, is_first, mode=mode, step=step)


class _InterruptedDreamer(_Interrupted):
    """The same of a policy that has a world model."""

    def __init__(self, policy: DreamingPolicy, between: Callable[[], object]) -> None:
        super().__init__(policy, between)
        self._dreaming = policy

    @property
    def has_decoder(self) -> bool:
        return self._dreaming.has_decoder

    def dream(
        self, obs: NDArray[Any], action: NDArray[np.int64], state: State, *, is_first: bool
    ) -> tuple[Dream, State]:
        return self._dreaming.dream(obs, action, state, is_first=is_first)
