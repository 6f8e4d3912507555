"""Short films of the moments of a run that one wants to see."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.environments import make_env
from mario_agents.evaluate import Episode, Evaluation
from mario_agents.playback import FrameTap, play_episode
from mario_agents.run.records import FilmRecord, Leg, PlayedEpisode, read_films, write_film_record
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.plugins import Policy
from mario_envkit.video import gif_writer, mp4_writer

NOTICE = 25
"""Log level of good news: people see it, as they see warnings."""
FIRST_FLAG, NEW_BEST = "first flag", "new best"
LONGEST = 2_400
"""Agent steps of a film; with four frames each not quite three minutes."""
FILM_FPS = 30
PREVIEW_FPS = 10

log = logging.getLogger(__name__)
logging.addLevelName(NOTICE, "NOTICE")

Score = tuple[float, ...]


class WayTaken:
    """Collects where Mario was after every step, area by area."""

    def __init__(self) -> None:
        self._legs: list[tuple[str, int, list[tuple[int, int]]]] = []

    def visit(self, info: Mapping[str, Any]) -> None:
        """To be called with the info of every reset and step."""
        place = str(info.get("level", "")), int(info.get("area", 0))
        if not self._legs or self._legs[-1][:2] != place:
            self._legs.append((*place, []))
        self._legs[-1][2].append((int(info["x_pos"]), int(info.get("y_pos", 0))))

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The way so far."""
        return tuple(Leg(level, area, tuple(points)) for level, area, points in self._legs)


class FilmCrew:
    """Films the best episode of evaluations if it is one to remember.

    That is the first that reached the flag, and that of every evaluation better than all before.
    Films lie in ``directory`` as ``step-N.mp4``, with ``step-N.json`` (see
    :class:`~mario_agents.run.records.FilmRecord`) and ``step-N.gif``, a small preview.

    Args:
        directory: of the films; what a resumed run finds there counts as filmed.
        env_kwargs: of the games.
    """

    def __init__(self, directory: Path, env_kwargs: Mapping[str, Any]) -> None:
        self._directory, self._env_kwargs = directory, env_kwargs
        films, _ = read_films(directory)
        self._flag_seen = any(film.episode.success for _, film in films)

    def offer(
        self,
        evaluations: Sequence[Evaluation],
        score: Score,
        best: Score | None,
        policy: Policy,
        step: int,
    ) -> Path | None:
        """Film the best episode of some evaluations, if there is reason to; returns the film.

        A film that cannot be made is told of in the log: training goes on without.

        Args:
            evaluations: what was played; of episodes alike the first is filmed.
            score: of the evaluations.
            best: the highest score before, if there was any.
            policy: who played them.
            step: agent steps it has learned from.
        """
        evaluation, number = max(
            ((each, number) for each in evaluations for number in range(len(each.episodes))),
            key=_merit,
        )
        first = evaluation.episodes[number].success and not self._flag_seen
        better = best is None or score > best
        if not (first or better):
            return None
        protocol = evaluation.protocol
        video = self._directory / f"step-{step}.mp4"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            episode, way = film_episode(
                policy,
                {**self._env_kwargs, **protocol.env_overrides()},
                video,
                greedy=protocol.greedy,
                seed=protocol.seed + number,
            )
            # A policy with random numbers of its own may have played another game this time.
            first = episode.success and not self._flag_seen
            occasions = [FIRST_FLAG] * first + [NEW_BEST] * better
            record = FilmRecord(step, tuple(occasions), score, PlayedEpisode.of(episode), way)
            write_film_record(video, record)
        except Exception as error:  # of an environment or encoder that is not ours, for instance
            expected = isinstance(error, (MarioEnvkitError, OSError))
            log.warning("There is no film of step %d: %s", step, error, exc_info=not expected)
            return None
        self._flag_seen |= episode.success
        title = " and ".join(occasions).capitalize() or "Film"
        outcome = f"{episode.ending} at x {episode.best_x}"
        log.log(NOTICE, "%s at step %d (%s): see %s", title, step, outcome, video)
        return video


def _merit(item: tuple[Evaluation, int]) -> tuple[bool, int, float]:
    episode = item[0].episodes[item[1]]
    return episode.success, episode.best_x, episode.reward


def film_episode(
    policy: Policy, env_kwargs: Mapping[str, Any], video: Path, *, greedy: bool, seed: int
) -> tuple[Episode, tuple[Leg, ...]]:
    """Play an episode, of at most :data:`LONGEST` steps, and film it.

    Writes ``video`` (MP4), half of the frames, and beside it a preview (GIF).

    Returns:
        The episode and the way that Mario took.

    Raises:
        MarioEnvkitError: if the environment or the video cannot be made.
        OSError: if the disk refuses.
    """
    env = make_env(env_kwargs, render_mode="rgb_array")
    try:
        way = WayTaken()
        fps = FrameTap(env, lambda picture: None).fps
        every = max(1, round(fps / FILM_FPS))
        preview_every = max(1, round(fps / PREVIEW_FPS))
        preview_path = video.with_suffix(".gif")
        with (
            mp4_writer(video, fps / every, quick=True) as film,
            gif_writer(preview_path, fps / preview_every) as preview,
        ):
            frame = 0

            def show(picture: NDArray[np.uint8]) -> None:
                nonlocal frame
                if frame % every == 0:
                    film.show(picture)
                if frame % preview_every == 0:
                    preview.show(picture[::2, ::2])
                frame += 1

            episode = play_episode(
                policy,
                env,
                greedy=greedy,
                seed=seed,
                tap=FrameTap(env, show),
                visit=way.visit,
                max_steps=LONGEST,
            )
    finally:
        env.close()
    return episode, way.legs
