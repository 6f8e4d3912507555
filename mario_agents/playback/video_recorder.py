"""Videos of a run: its first flag, and the best episode of each evaluation that is a new best."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.acting.environments import make_bare, make_env
from mario_agents.evaluation.evaluate import EvalEpisode, Evaluation
from mario_agents.playback.player import FrameTap, go_back, play_episode, replay_actions
from mario_agents.run.log_levels import NOTICE
from mario_agents.run.records import (
    PlayedEpisode,
    Segment,
    VideoRecord,
    read_videos,
    write_video_record,
)
from mario_agents.run.storage import Deferrable
from mario_envkit.errors import MarioEnvkitError, RunError
from mario_envkit.files import locked
from mario_envkit.game.endings import clears_stage, stage_of_step
from mario_envkit.plugins import Policy
from mario_envkit.snapshots.context import Saved
from mario_envkit.video import gif_writer, mp4_writer

FIRST_FLAG, NEW_BEST = "first flag", "new best"
FIRST_FLAG_VIDEO = "first-flag.mp4"
"""Of the first flag in training."""
LONGEST = 2_400
"""Agent steps of a video; with four frames each not quite three minutes."""
VIDEO_FPS = 30
PREVIEW_FPS = 10

log = logging.getLogger(__name__)

Score = tuple[float, ...]


class Trajectory:
    """Where Mario was after every step of an episode, as segments within one area each."""

    def __init__(self) -> None:
        self._segments: list[tuple[str, int, list[tuple[int, int]]]] = []

    def visit(self, info: Mapping[str, Any]) -> None:
        """To be called with the info of every reset and step."""
        before = self._segments[-1][0] if self._segments else ""
        level = stage_of_step(str(info.get("level", "")), info.get("ending", ""), before)
        place = level, int(info.get("area", 0))
        if not self._segments or self._segments[-1][:2] != place:
            self._segments.append((*place, []))
        self._segments[-1][2].append((int(info["x_pos"]), int(info.get("y_pos", 0))))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The trajectory so far."""
        return tuple(Segment(level, area, tuple(points)) for level, area, points in self._segments)


class VideoRecorder:
    """Records the best episode of evaluations if it is one to remember.

    That is the first that reached the flag, unless training was first (see
    :func:`record_first_flag`), and that of every evaluation better than all before. Videos lie in
    ``directory`` as ``step-N.mp4``, with ``step-N.json`` (see
    :class:`~mario_agents.run.records.VideoRecord`) and ``step-N.gif``, a small preview.

    Args:
        directory: of the videos; what a resumed run finds there counts as recorded.
        env_kwargs: of the games.
    """

    def __init__(self, directory: Path, env_kwargs: Mapping[str, Any]) -> None:
        self._directory, self._env_kwargs = directory, env_kwargs
        self._state = Deferrable("A video")

    def offer(
        self,
        evaluations: Sequence[Evaluation],
        score: Score,
        best: Score | None,
        policy: Policy,
        step: int,
    ) -> Path | None:
        """Record the best episode of some evaluations, if there is reason to; returns the video.

        A video that cannot be made is told of in the log: training goes on without.

        Args:
            evaluations: what was played; of episodes alike the first is recorded.
            score: of the evaluations.
            best: the highest score before, if there was any.
            policy: who played them.
            step: agent steps it has learned from.
        """
        evaluation, number = max(
            ((each, number) for each in evaluations for number in range(len(each.episodes))),
            key=_merit,
        )
        flag_seen = flag_recorded(self._directory)
        first = PlayedEpisode.of(evaluation.episodes[number]).clears_stage and not flag_seen
        better = best is None or score > best
        if not (first or better):
            return None
        protocol = evaluation.protocol
        video = self._directory / f"step-{step}.mp4"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            episode, path = record_episode(
                policy,
                {**self._env_kwargs, **protocol.env_overrides()},
                video,
                greedy=protocol.greedy,
                seed=protocol.seed + number,
            )
            # A policy with random numbers of its own may have played another game this time.
            played = PlayedEpisode.of(episode)
            first = played.clears_stage and not flag_seen
            occasions = [FIRST_FLAG] * first + [NEW_BEST] * better
            record = VideoRecord(step, tuple(occasions), score, played, path)
            write_video_record(video, record)
        except Exception as error:  # of an environment or encoder that is not ours, for instance
            _tell(f"There is no video of step {step}", error, self._state)
            return None
        self._state.worked()
        title = " and ".join(occasions).capitalize() or "Video"
        outcome = f"{episode.ending} at x {episode.best_x}"
        log.log(NOTICE, "%s at step %d (%s): see %s", title, step, outcome, video)
        return video


def _tell(what: str, error: Exception, state: Deferrable | None = None) -> None:
    """Why there is no video; of videos that fail one after the other only the first is told."""
    if isinstance(error, (MarioEnvkitError, OSError)):
        (state or Deferrable("A video")).failed(error, what)
    else:
        log.warning("%s: %s", what, error, exc_info=error)


def _merit(item: tuple[Evaluation, int]) -> tuple[tuple[bool, int, int], float]:
    episode = item[0].episodes[item[1]]
    return PlayedEpisode.of(episode).merit, episode.reward


def record_episode(
    policy: Policy, env_kwargs: Mapping[str, Any], video: Path, *, greedy: bool, seed: int
) -> tuple[EvalEpisode, tuple[Segment, ...]]:
    """Play an episode, of at most :data:`LONGEST` steps, and record it.

    Writes ``video`` (MP4), half of the frames, and beside it a preview (GIF).

    Returns:
        The episode and the trajectory of Mario.

    Raises:
        MarioEnvkitError: if the environment or the video cannot be made.
        OSError: if the disk refuses.
    """
    env = make_env(env_kwargs, render_mode="rgb_array")
    try:
        trajectory = Trajectory()
        with _camera(env, video) as tap:
            episode = play_episode(
                policy,
                env,
                greedy=greedy,
                seed=seed,
                tap=tap,
                visit=trajectory.visit,
                max_steps=LONGEST,
            )
    finally:
        env.close()
    return episode, trajectory.segments


@dataclass(frozen=True, slots=True)
class ActionTrace:
    """How a game of training reached the flag: played again, it does the same.

    Attributes:
        saved: the game where it last began.
        actions: since then.
        origin: where that was, such as "a snapshot at x 1200"; empty for the start of a level.
    """

    saved: Saved
    actions: tuple[int, ...]
    origin: str


def flag_recorded(directory: Path) -> bool:
    """Whether one of the videos in ``directory`` shows how the flag is reached."""
    return any(record.episode.clears_stage for _, record in read_videos(directory)[0])


def record_first_flag(
    trace: ActionTrace, env_kwargs: Mapping[str, Any], directory: Path, step: int
) -> Path | None:
    """Record the first flag of a run once more, unless another worker has; returns the video.

    A video that cannot be made is told of in the log.

    Args:
        trace: how it was reached.
        env_kwargs: of the game, as ``MarioTrain-v0`` takes them.
        directory: of the run's videos.
        step: run-wide agent steps.
    """
    video = directory / FIRST_FLAG_VIDEO
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with locked(video):
            if video.exists():
                return None
            episode, path = _record_trace(trace, env_kwargs, video)
            occasion = f"{FIRST_FLAG}, in training" + (trace.origin and f" from {trace.origin}")
            record = VideoRecord(step, (occasion,), (), PlayedEpisode.of(episode), path)
            write_video_record(video, record)
    except Exception as error:  # of an encoder that is not ours, for instance
        _tell("There is no video of the first flag", error)
        return None
    log.log(NOTICE, "%s, at step %d: see %s", occasion.capitalize(), step, video)
    return video


def _record_trace(
    trace: ActionTrace, env_kwargs: Mapping[str, Any], video: Path
) -> tuple[EvalEpisode, tuple[Segment, ...]]:
    env = make_bare(env_kwargs, render_mode="rgb_array")
    try:
        go_back(env, trace.saved)
        trajectory = Trajectory()
        last: dict[str, Any] = {}

        def visit(info: Mapping[str, Any]) -> None:
            trajectory.visit(info)
            last.update(info)

        with _camera(env, video) as tap:
            episode = replay_actions(env, trace.actions, tap=tap, visit=visit)
            if not clears_stage(last["flag_get"], last["ending"]):
                raise RunError("the game went another way when it was played again.")
    finally:
        env.close()
    return episode, trajectory.segments


@contextmanager
def _camera(env: gymnasium.Env[Any, Any], video: Path) -> Iterator[FrameTap]:
    """Records what is played: half of the frames to ``video``, and fewer to a GIF beside it."""
    fps = FrameTap(env, lambda picture: None).fps
    every = max(1, round(fps / VIDEO_FPS))
    preview_every = max(1, round(fps / PREVIEW_FPS))
    with (
        mp4_writer(video, fps / every, quick=True) as whole,
        gif_writer(video.with_suffix(".gif"), fps / preview_every) as preview,
    ):
        frame = 0

        def show(picture: NDArray[np.uint8]) -> None:
            nonlocal frame
            if frame % every == 0:
                whole.show(picture)
            if frame % preview_every == 0:
                preview.show(picture[::2, ::2])
            frame += 1

        yield FrameTap(env, show)
