"""Videos of the evaluations of a run: the best episode of each that is a new best."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mario_agents.acting.environments import make_env
from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_agents.playback.camera import (
    FIRST_FLAG,
    LONGEST,
    Trajectory,
    camera,
    flag_recorded,
    tell_missing,
)
from mario_agents.playback.dream import record_dream, why_no_dream
from mario_agents.playback.policy_player import play_episode
from mario_agents.run.log_levels import NOTICE
from mario_agents.run.records import PlayedEpisode, Segment, VideoRecord, write_video_record
from mario_agents.run.storage import Deferrable
from mario_envkit.plugins import Policy

NEW_BEST = "new best"
AHEAD = 50
"""Observations of a film of dreams for each that the agent looks at, that one included: more than
three seconds without looking, and more than three times as far as it imagines while it learns."""

log = logging.getLogger(__name__)

Score = tuple[float, ...]


class VideoRecorder:
    """Records the best episode of evaluations if it is one to remember.

    That is the first that reached the flag, unless training was first (see
    :func:`record_first_flag`), and that of every evaluation better than all before. Videos lie in
    ``directory`` as ``step-N.mp4``, with ``step-N.json`` (see
    :class:`~mario_agents.run.records.VideoRecord`) and ``step-N.gif``, a small preview. Of a new
    best of an agent that dreams there is ``step-N-dream.mp4`` as well: a game with the
    same seed beside what its world model expected
    (:func:`~mario_agents.playback.dream.film_dream`).

    Args:
        directory: of the videos; what a resumed run finds there counts as recorded.
        env_kwargs: of the games.
    """

    def __init__(self, directory: Path, env_kwargs: Mapping[str, Any]) -> None:
        self._directory, self._env_kwargs = directory, env_kwargs
        self._state, self._dreams = Deferrable("A video"), Deferrable("A film of dreams")

    def wants(self, evaluations: Sequence[Evaluation], score: Score, best: Score | None) -> bool:
        """Whether :meth:`offer` would record something."""
        if best is None or score > best:
            return True
        evaluation, number = _best(evaluations)
        first = PlayedEpisode.of(evaluation.episodes[number]).clears_stage
        return first and not flag_recorded(self._directory)

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
        if not self.wants(evaluations, score, best):
            return None
        evaluation, number = _best(evaluations)
        flag_seen = flag_recorded(self._directory)
        better = best is None or score > best
        protocol = evaluation.protocol
        video = self._directory / f"step-{step}.mp4"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            episode, path = record_episode(
                policy,
                {**self._env_kwargs, **protocol.env_overrides(), **protocol.level_of(number)},
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
            tell_missing(f"There is no video of step {step}", error, self._state)
            return None
        self._state.worked()
        title = " and ".join(occasions).capitalize() or "Video"
        outcome = f"{episode.ending} at x {episode.best_x}"
        log.log(NOTICE, "%s at step %d (%s): see %s", title, step, outcome, video)
        if better and not why_no_dream(policy):
            self._film_dream(protocol, number, score, policy, step)
        return video

    def _film_dream(
        self, protocol: EvalProtocol, number: int, score: Score, policy: Policy, step: int
    ) -> None:
        video = self._directory / f"step-{step}-dream.mp4"
        try:
            episode = record_dream(
                policy,
                {**self._env_kwargs, **protocol.env_overrides(), **protocol.level_of(number)},
                video,
                greedy=protocol.greedy,
                seed=protocol.seed + number,
                horizon=AHEAD,
            )
            played = PlayedEpisode.of(episode)
            write_video_record(video, VideoRecord(step, (NEW_BEST,), score, played, (), AHEAD))
        except Exception as error:  # as above
            tell_missing(f"There is no film of the dream of step {step}", error, self._dreams)
            return
        self._dreams.worked()
        log.info("What the agent of step %d expected to see: %s", step, video)


def _best(evaluations: Sequence[Evaluation]) -> tuple[Evaluation, int]:
    """The evaluation with the best episode, and that one's number; of equals the first."""
    return max(
        ((each, number) for each in evaluations for number in range(len(each.episodes))),
        key=_merit,
    )


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
        with camera(env, video) as tap:
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
