"""Evaluation during training, in a thread beside it."""

from __future__ import annotations

import logging
import time
from threading import Thread
from typing import Any, NamedTuple

import torch

from mario_agents.acting.plugin_policy import trained_policy
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces
from mario_agents.core.types import Learner, Metrics
from mario_agents.evaluation.evaluate import EvalProtocol, Evaluation, evaluate
from mario_agents.playback.video_recorder import VideoRecorder
from mario_agents.run import BestWeights, RunDir
from mario_agents.run.clock import TrainingClock
from mario_agents.run.records import (
    EvaluationRecord,
    PlayedEpisode,
    evaluation_line,
    last_evaluated,
)
from mario_agents.run.storage import GrowingFile
from mario_agents.runtime.cores import torch_threads
from mario_envkit.closing import close_all
from mario_envkit.errors import MarioEnvkitError, TrainerError

log = logging.getLogger(__name__)

STICKY = 0.25
"""Probability of repeating an action in the perturbed half of an evaluation. Without it all greedy
episodes are nearly one and the same, and their success says little (Machado et al., "Revisiting the
Arcade Learning Environment", JAIR 2018, section 5)."""
MAX_ENVS = 64
"""Episodes played at once: beside training, steps take long, and not the games in them."""


_STAGE = 100_000
"""Pixels that a cleared stage counts for: more than any stage is long."""


class _Result(NamedTuple):
    plain: Evaluation
    sticky: Evaluation
    took: float
    """Seconds from taking the weights to the end of the last episode."""
    time: float
    """Unix seconds at that end."""

    @property
    def both(self) -> tuple[Evaluation, Evaluation]:
        """On a console that obeys, and on one with sticky actions."""
        return self.plain, self.sticky

    @property
    def score(self) -> tuple[float, float]:
        """Mean success, and how far they came: of the full game, above all in stages."""
        success = sum(each.success_rate.mean for each in self.both) / 2
        stages = sum(each.stages_cleared.mean for each in self.both if each.full_game) / 2
        return success, sum(each.mean_x.mean for each in self.both) / 2 + _STAGE * stages

    def text(self) -> str:
        """One line for people."""
        said = []
        for name, found in (("obedient", self.plain), ("sticky", self.sticky)):
            wins = sum(episode.success for episode in found.episodes)
            x, reward = found.mean_x.mean, found.mean_reward.mean
            flags = f"{wins} of {len(found.episodes)} to the flag"
            if found.full_game:
                flags = (
                    f"{wins} of {len(found.episodes)} games won, stages cleared "
                    f"{found.stages_cleared.mean:.1f} (most {found.most_stages})"
                )
            said.append(f"{name}: {flags}, mean x {x:.0f}, return {reward:.1f}")
        return "; ".join(said)

    def record(self, step: int, seconds: float) -> EvaluationRecord:
        """What is kept of it; the weights were taken at ``step``, after ``seconds``."""
        plain, sticky = (tuple(map(PlayedEpisode.of, each.episodes)) for each in self.both)
        return EvaluationRecord(
            step, plain, sticky, round(seconds, 3), round(seconds + self.took, 3), self.time
        )


class Evaluator:
    """Plays with a copy of the weights in a thread, so that updates need not wait for it.

    The weights are kept as the run's best ones if none did better: by the mean success of plain and
    sticky episodes, and with equal success by how far they came. The same thread records what is
    worth it (see :class:`~mario_agents.playback.video_recorder.VideoRecorder`). Every evaluation
    is a line in the run's ``evaluations.jsonl``.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        run: RunDir,
        spaces: Spaces,
        device: torch.device,
        clock: TrainingClock | None = None,
    ) -> None:
        self._algorithm, self._config, self._device = algorithm, config, device
        self._spaces, self._best = spaces, BestWeights(run)
        self._records = GrowingFile(run.evaluations_path)
        self._clock = clock or TrainingClock()
        self._recorder = VideoRecorder(run.videos_path, algorithm.env_kwargs(config))
        self._learner: Learner | None = None
        self._thread: Thread | None = None
        self._result: _Result | None = None
        self._error: BaseException | None = None
        self._step, self._seconds = last_evaluated(run.evaluations_path), 0.0

    def start(self, learner: Learner, step: int) -> None:
        """Begin to evaluate the weights as they are now, unless an evaluation is going on."""
        if self._thread is not None:
            return
        if self._learner is None:
            self._learner = self._algorithm.learner(self._config, self._spaces)
            self._learner.model.to(self._device)
        self._learner.model.load_state_dict(learner.model.state_dict())
        self._step, self._seconds = step, self._clock.seconds
        self._thread = Thread(target=self._play, args=(self._learner,), daemon=True)
        self._thread.start()

    def start_last(self, learner: Learner, step: int) -> None:
        """Begin to evaluate the weights that a run ends with, unless that has been done.

        A run that was too short for any evaluation has no last one either. An evaluation that is
        still going on must have been fetched.
        """
        if self._step != step and 0 < self._config.eval_interval <= step:
            self.start(learner, step)

    @property
    def playing(self) -> bool:
        """Whether an evaluation is going on."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for the end of the evaluation that is going on, no longer than ``seconds``."""
        if self._thread is not None:
            self._thread.join(seconds)

    def result(self, *, wait: bool = False) -> Metrics | None:
        """What an evaluation found, once after it has ended.

        Raises:
            TrainerError: if it could not be made; the cause is what it ended with.
        """
        if self._thread is None or (self.playing and not wait):
            return None
        self._thread.join()
        self._thread, result, error = None, self._result, self._error
        if error is not None:
            known = isinstance(error, MarioEnvkitError)
            reason = str(error) if known else f"{type(error).__name__}: {error}."
            log.error("The evaluation of step %d failed.", self._step, exc_info=error)
            raise TrainerError(f"The evaluation of step {self._step} failed. {reason}") from error
        assert result is not None
        plain, sticky = result.both
        self._records.append(evaluation_line(result.record(self._step, self._seconds)))
        log.info("Evaluation at step %d: %s", self._step, result.text())
        return {
            "eval_success": plain.success_rate.mean,
            "eval_x": plain.mean_x.mean,
            "eval_reward": plain.mean_reward.mean,
            **({"eval_stages": plain.stages_cleared.mean} if plain.full_game else {}),
            "eval_sticky_success": sticky.success_rate.mean,
            "eval_best": self._offer(result),
        }

    def flush(self) -> None:
        """Write what the disk refused before; call it when everything else is saved."""
        self._records.flush()
        self._best.flush()

    def close(self) -> None:
        """Write what the disk refused before, for the last time.

        Raises:
            RunError: if an evaluation, or the best weights, cannot be written.
        """
        close_all(self._records.close, self._best.close)

    def _offer(self, result: _Result) -> float:
        """Offer what was evaluated as the best; returns the success of the best."""
        assert self._learner is not None
        weights = self._algorithm.player(self._learner).state_dict()
        if self._best.offer(result.score, weights, {**self._spaces.metadata(), "step": self._step}):
            log.info("The best weights are those of step %d.", self._step)
        assert self._best.score is not None
        return self._best.score[0]

    def _play(self, learner: Learner) -> None:
        """What the thread does; whatever it ends with is raised where the result is fetched."""
        self._result = self._error = None
        try:
            self._result = self._evaluate(learner)
        except BaseException as error:  # a SystemExit of somebody's library, for instance
            self._error = error

    def _evaluate(self, learner: Learner) -> _Result:
        config, begin = self._config, time.monotonic()
        torch.set_num_threads(torch_threads(config))  # a new thread begins with all cores
        kwargs = self._algorithm.env_kwargs(config)
        results = []
        for sticky in (0.0, STICKY):
            policy = trained_policy(self._algorithm, config, learner, self._device)
            protocol = EvalProtocol(config.eval_episodes, sticky=sticky, seed=config.seed)
            results.append(evaluate(policy, kwargs, protocol, max_envs=MAX_ENVS))
        result = _Result(results[0], results[1], time.monotonic() - begin, time.time())
        # The best score changes only when a result is fetched: not while this thread lives.
        policy = trained_policy(self._algorithm, config, learner, self._device)
        self._recorder.offer(result.both, result.score, self._best.score, policy, self._step)
        return result
