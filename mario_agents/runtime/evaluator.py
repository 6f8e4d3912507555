"""Evaluation during training, beside it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mario_agents.config import TrainConfig, to_plain
from mario_agents.core.algorithm import Algorithm, Spaces, name_of
from mario_agents.core.types import Metrics
from mario_agents.playback.video_recorder import VideoRecorder
from mario_agents.run import BestWeights, RunDir
from mario_agents.run.best import Score
from mario_agents.run.clock import TrainingClock
from mario_agents.run.records import evaluation_line, last_evaluated
from mario_agents.run.storage import GrowingFile
from mario_agents.runtime.evaluation import EvaluationPlayer, EvaluationResult, Verdict
from mario_agents.runtime.processes.background import available
from mario_agents.runtime.processes.evaluator_process import EvaluatorProcess, Lost
from mario_agents.runtime.processes.messages import Failed, Prepare
from mario_envkit.closing import close_all
from mario_envkit.errors import MarioEnvkitError, TrainerError
from mario_envkit.files import remove_unfinished

log = logging.getLogger(__name__)

END_SECONDS = 10.0
"""Time that the process has to end what it does when training is over. At low priority, on a
machine that others use, it might take for ever."""
MAX_LOSSES = 3
"""Processes that may be lost one after the other, without an evaluation in between."""


class _Evaluation(NamedTuple):
    """One that is going on.

    Attributes:
        step, seconds: when the weights were taken, in agent steps and seconds of training.
        weights: of the part that plays.
        best: the highest score before.
        began: the same moment by :func:`time.monotonic`.
        remote: it is played by the process.
    """

    step: int
    seconds: float
    weights: dict[str, Tensor]
    best: Score | None
    began: float
    remote: bool


class _Video(NamedTuple):
    """One that is to be made of an evaluation; ``best`` is the highest score before it."""

    evaluation: _Evaluation
    result: EvaluationResult
    best: tuple[float, ...] | None


class _Outcome(NamedTuple):
    what: Verdict | Failed | Lost | BaseException
    moment: float
    time: float


class Evaluator:
    """Plays with a copy of the weights, so that updates need not wait for it.

    The weights are kept as the run's best ones if none did better: by the mean success of plain and
    sticky episodes, and with equal success by how far they came; in two stages if the run's
    ``confirm_episodes`` ask for that. What is worth it is recorded (see
    :class:`~mario_agents.playback.video_recorder.VideoRecorder`). Every evaluation is a line in the
    run's ``evaluations.jsonl``.

    All of that is done by a process of low priority, since a thread would take the interpreter lock
    from those who train. A thread of this process plays where there cannot be one (the algorithm
    cannot be made by its name, as one of a notebook; Windows), as long as it is starting, what
    failed in it, and the weights that a run ends with: nobody trains then. A process that is lost
    is replaced, its evaluation is not made; after :data:`MAX_LOSSES` in a row a thread plays, and
    there are no more videos of evaluations.

    Args:
        algorithm, config, run: whose weights are evaluated, and where that is written.
        spaces: of the environments.
        device: where the model that plays computes.
        clock: seconds of training.
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
        self._algorithm, self._config, self._run = algorithm, config, run
        self._device, self._spaces, self._best = device, spaces, BestWeights(run)
        self._records = GrowingFile(run.evaluations_path)
        self._clock = clock or TrainingClock()
        self._recorder = VideoRecorder(run.videos_path, algorithm.env_kwargs(config))
        self._step = last_evaluated(run.evaluations_path)
        self._evaluation: _Evaluation | None = None
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._news = Event()
        self._player: EvaluationPlayer | None = None
        self._thread: Thread | None = None
        self._process: EvaluatorProcess | None = None
        self._video: _Video | None = None  # one that waits
        self._recording: _Video | None = None  # the last one that the process was asked for
        self._losses = 0
        self._deadline: float | None = None

    def begin(self, step: int) -> None:
        """Start the process, if evaluations will be due before the run ends; it is at ``step``."""
        interval = self._config.eval_interval
        if interval and (step // interval + 1) * interval < self._config.total_steps:
            self._start_process()

    def start(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Begin to evaluate weights of the part that plays as they are now, unless an evaluation is
        going on."""
        process = self._process
        if not self.free:
            return
        remote = process is not None and process.ready
        evaluation = self._take(weights, step, remote=remote)
        if process is not None and remote:
            process.evaluate(evaluation.weights, step, evaluation.best)
        else:
            self._play_here(evaluation)

    def end_training(self) -> None:
        """Nobody trains any more: what the process does not end soon, this one does."""
        ready = self._process is not None and self._process.ready
        self._deadline = time.monotonic() + (END_SECONDS if ready else 0.0)

    def start_last(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Begin to evaluate the weights that a run ends with, unless that has been done.

        A run that was too short for any evaluation has no last one either. An evaluation that is
        still going on must have been fetched.
        """
        if self._step != step and 0 < self._config.eval_interval <= step:
            self._play_here(self._take(weights, step, remote=False))

    @property
    def free(self) -> bool:
        """Whether :meth:`start` would begin an evaluation."""
        return self._evaluation is None and not self._busy_here

    @property
    def playing(self) -> bool:
        """Whether something is going on: an evaluation that was not fetched, or a video."""
        working = self._process is not None and self._process.working
        return bool(self._evaluation or self._video or working or self._busy_here)

    def wait(self, seconds: float) -> None:
        """Wait until something may have changed, no longer than ``seconds``."""
        if self.playing:
            self._news.wait(seconds)
            self._news.clear()

    def result(self, *, wait: bool = False) -> Metrics | None:
        """What an evaluation found, once after it has ended; call it often.

        Args:
            wait: until nothing is going on any more.

        Raises:
            TrainerError: if it could not be made; the cause is what it ended with.
        """
        found = None
        while True:
            while not self._outcomes.empty():
                found = self._hear(self._outcomes.get()) or found
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._take_over()
            if self._video is not None:
                self._record(self._video)
            if not (wait and self.playing):
                return found
            self.wait(0.05)

    def flush(self) -> None:
        """Write what the disk refused before; call it when everything else is saved."""
        self._records.flush()
        self._best.flush()

    def close(self) -> None:
        """End the process, and write what the disk refused before, for the last time.

        Raises:
            RunError: if an evaluation, or the best weights, cannot be written.
        """
        close_all(self._end_process, self._records.close, self._best.close)

    # -- what comes back --------------------------------------------------------------------------

    def _deliver(self, what: Verdict | Failed | Lost | BaseException) -> None:
        """Take an outcome in, in any thread."""
        self._outcomes.put(_Outcome(what, time.monotonic(), time.time()))
        self._news.set()

    def _hear(self, outcome: _Outcome) -> Metrics | None:
        what, evaluation = outcome.what, self._evaluation
        if isinstance(what, Lost):
            self._lost(what)
            return None
        if isinstance(what, Failed):
            log.info("The process that evaluates failed; that is done here:\n%s", what.text)
            self._end_process()
            if evaluation is not None and evaluation.remote:
                self._play_here(evaluation)
            return None
        assert evaluation is not None
        self._evaluation = None
        if isinstance(what, BaseException):
            reason = str(what) if isinstance(what, MarioEnvkitError) else _of_a_library(what)
            log.error("The evaluation of step %d failed.", evaluation.step, exc_info=what)
            raise TrainerError(
                f"The evaluation of step {evaluation.step} failed. {reason}"
            ) from what
        return self._evaluated(evaluation, what, outcome)

    def _evaluated(self, evaluation: _Evaluation, verdict: Verdict, outcome: _Outcome) -> Metrics:
        step, seconds, best = evaluation.step, evaluation.seconds, self._best.score
        known = seconds + outcome.moment - evaluation.began
        self._records.append(evaluation_line(verdict.record(step, seconds, known, outcome.time)))
        log.info("Evaluation at step %d: %s", step, verdict.text())
        result = verdict.second or verdict.first
        if evaluation.remote:
            self._losses = 0
        if self._losses < MAX_LOSSES and self._recorder.wants(result, result.score, best):
            self._video = _Video(evaluation, result, best)  # in the place of one that still waits
        plain, sticky = verdict.first
        return {
            "eval_success": plain.success_rate.mean,
            "eval_x": plain.mean_x.mean,
            "eval_reward": plain.mean_reward.mean,
            **({"eval_stages": plain.stages_cleared.mean} if plain.full_game else {}),
            "eval_sticky_success": sticky.success_rate.mean,
            "eval_best": self._offer(evaluation, verdict),
        }

    def _offer(self, evaluation: _Evaluation, verdict: Verdict) -> float:
        """Offer what was evaluated as the best; returns the success of the best."""
        metadata = {**self._spaces.metadata(), "step": evaluation.step}
        judged = verdict.second if self._config.confirm_episodes else verdict.first
        if judged and self._best.offer(judged.score, evaluation.weights, metadata):
            log.info("The best weights are those of step %d.", evaluation.step)
        assert self._best.score is not None
        return self._best.score[0]

    def _lost(self, lost: Lost) -> None:
        """The process is gone: begin another one, but not for ever."""
        process = self._process
        if process is None or self._deadline is not None:
            # Nobody trains any more: what it has not done is done here.
            self._end_process()
            self._deadline = None
            if self._evaluation is not None and self._evaluation.remote:
                self._play_here(self._evaluation)
            return
        self._end_process()
        missing = " A video is not made." if process.recording else ""
        if self._evaluation is not None and self._evaluation.remote:
            missing += f" The evaluation of step {self._evaluation.step} is not made."
            self._evaluation = None
        self._losses += 1
        if self._losses < MAX_LOSSES:
            log.warning("The process that evaluates is replaced. %s%s", lost.reason, missing)
            self._start_process()
            return
        self._video = None
        log.warning(
            "The process that evaluates was lost %d times in a row, so the training process "
            "evaluates from now on, without videos. %s%s",
            self._losses,
            lost.reason,
            missing,
        )

    def _take_over(self) -> None:
        """Do here what the process has not done."""
        process, self._deadline = self._process, None
        if process is None:
            return
        self._end_process()
        if process.recording and self._video is None:
            self._video = self._recording
        known = not self._outcomes.empty()  # it has come in the meantime
        if self._evaluation is not None and self._evaluation.remote and not known:
            self._play_here(self._evaluation)

    # -- who plays --------------------------------------------------------------------------------

    def _take(self, weights: Mapping[str, Tensor], step: int, *, remote: bool) -> _Evaluation:
        """Take a copy of the weights as they are now."""
        taken = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in weights.items()
        }
        now = time.monotonic()
        self._step = step
        seconds, best = self._clock.seconds, self._best.score
        self._evaluation = _Evaluation(step, seconds, taken, best, now, remote)
        return self._evaluation

    @property
    def _busy_here(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _play_here(self, evaluation: _Evaluation) -> None:
        player = self._player_here()
        self._evaluation = evaluation._replace(remote=False)

        def play() -> None:
            try:
                self._deliver(player.evaluate(evaluation.weights, evaluation.step, evaluation.best))
            except BaseException as error:  # a SystemExit of somebody's library, for instance
                self._deliver(error)

        self._do_here(play)

    def _record(self, video: _Video) -> None:
        """Make a video as soon as somebody has time for it."""
        process, (step, weights) = self._process, (video.evaluation.step, video.evaluation.weights)
        if process is not None:
            if process.ready and not process.recording:
                self._video, self._recording = None, video
                process.record(weights, step, video.result, video.best)
        elif not self._busy_here:
            self._video, player = None, self._player_here()
            arguments = self._run.videos_path, weights, step, video.result, video.best
            self._do_here(lambda: player.record(*arguments))

    def _do_here(self, work: Callable[[], object]) -> None:
        self._thread = Thread(target=work, daemon=True)
        self._thread.start()

    def _player_here(self) -> EvaluationPlayer:
        """Made when it is needed, and not in a thread: who initialises weights sets seeds."""
        if self._player is None:
            self._player = EvaluationPlayer(
                self._algorithm, self._config, self._spaces, self._device
            )
        return self._player

    def _start_process(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        try:
            self._process = EvaluatorProcess(plan, self._deliver, self._news.set)
        except OSError as error:  # no memory, for instance
            log.info("The training process evaluates: none can be started for that (%s).", error)

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()
            remove_unfinished(self._run.videos_path)

    def _plan(self) -> Prepare | None:
        """What the process is to know; None if it could not make the same algorithm of it."""
        algorithm, config = self._algorithm, self._config
        same = type(config) is algorithm.config_class and not getattr(algorithm, "__dict__", None)
        if not (available() and same):
            return None
        try:
            name = name_of(algorithm)
        except TrainerError:
            return None
        return Prepare(
            name,
            to_plain(config),
            self._spaces.obs_shape,
            self._spaces.actions,
            str(self._device),
            str(self._run.videos_path.absolute()),
        )


def _of_a_library(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}."
