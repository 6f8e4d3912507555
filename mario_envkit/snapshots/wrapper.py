"""Practise where Mario dies: snapshots as a Gymnasium wrapper."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from mario_envkit.arguments import as_bool, as_env, as_seed
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.runs import Run
from mario_envkit.curriculum.start_states import StartStates
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError, ResetRequired
from mario_envkit.game.start import read_options
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.context import Context
from mario_envkit.snapshots.handler import Outcome, SnapshotHandler
from mario_envkit.snapshots.memory import SnapshotMemory
from mario_envkit.snapshots.options import SnapshotOptions
from mario_envkit.snapshots.session import SnapshotSession
from mario_envkit.step_lock import StepLock
from mario_envkit.wrappers.numeric import numbers_of


class SnapshotMarioEnvironment(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Saves before dangerous places and now and then, and restores after a death.

    ``restore="in_episode"``: ``step`` answers a death with the restored observation, the reward of
    the death, ``terminated=False``, and an info that is the restored one except for ``died``,
    ``death_cause`` and ``reward_parts``, which are of the death, ``life_lost=True``,
    ``snapshot_restored=True``, ``life_lost_obs`` and ``life_lost_info``: what the death's step
    itself returned. These two are in every info: zeros, False and "" if nothing was restored in
    the step. Learners must treat ``life_lost`` as terminal.

    ``restore="on_reset"``: a death ends the episode with ``terminated=True``; the next ``reset()``
    begins at the snapshot, with ``info["snapshot_restored"]=True``. A reset with a seed, with
    ``options={"level": ...}`` or with ``options={"true_start": True}`` begins truly.

    ``start_states`` lets some episodes begin elsewhere than at the true start, see
    :mod:`mario_envkit.curriculum.start_states`; the infos then say where theirs did: ``start`` is
    "true", "archive" (a snapshot) or "run" (along a recorded run). A reset that is asked to begin
    truly, as above, does so.

    Where there is no point in restoring (see :class:`SnapshotRules`) the death ends the episode,
    and the next one is a true start. After a restore every observation, reward and info is, for
    the same actions, what followed the save; of the info only ``snapshot_saved`` is not of the
    game but about the archive. (With sticky actions "the same" are those that were carried out,
    see ``restore_noise``.)

    ``reset(seed=...)`` also forgets what was learnt by play and is in no file, so that a seed
    decides everything. Wrappers around this one see one episode and keep what they remember:
    a time limit there goes on counting through restores, while one inside goes back with them.

    A copy (``copy.deepcopy``, pickle) has an archive and hotspots of its own with the same content,
    unless these are in files, which both then share.

    Args:
        env: a :class:`~mario_envkit.env.MarioEnv` in wrappers that snapshots know: ours and the
            common ones of Gymnasium, see :mod:`mario_envkit.snapshots.context`.
        hotspot_path, checkpoint_interval, max_restores_without_progress, restore, archive,
            restore_noise, hotspots, start_states, backward: see
            :class:`~mario_envkit.snapshots.options.SnapshotOptions`.
        numeric_info: infos hold numbers only, see
            :func:`~mario_envkit.wrappers.numeric.numbers_of`.

    Raises:
        OptionError: for arguments that make no sense, and wrappers that cannot be restored.
        ArchiveError: if the archive's directory cannot be used.
        SnapshotMismatch: if the archive is of another game, core or kind of environment.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        hotspot_path: str | os.PathLike[str] | None = None,
        checkpoint_interval: int = 500,
        max_restores_without_progress: int = 3,
        restore: str = "in_episode",
        archive: SnapshotArchive | str | os.PathLike[str] | None = None,
        restore_noise: bool = False,
        hotspots: str | SharedHotspots = "shared",
        start_states: float | StartStates | None = None,
        backward: Run | str | os.PathLike[str] | None = None,
        numeric_info: bool = False,
    ) -> None:
        options = SnapshotOptions(
            hotspot_path, checkpoint_interval, max_restores_without_progress, restore, archive,
            restore_noise, hotspots, start_states, backward,
        )  # fmt: skip
        # An archive is shared, not copied.
        RecordConstructorArgs.__init__(
            self, _disable_deepcopy=True, **options.as_kwargs(), numeric_info=numeric_info
        )
        super().__init__(as_env("env", env))
        _check_first(env)
        self._session = SnapshotSession(Context(env), env, options, SnapshotMemory(options))
        self._game: MarioEnv = env.unwrapped  # type: ignore[assignment]
        self._numeric_info = as_bool("numeric_info", numeric_info)
        self._begun = False
        self._closed = False

    @property
    def handler(self) -> SnapshotHandler:
        """What decides and keeps the books."""
        return self._session.handler

    @property
    def total_saves(self) -> int:
        """Snapshots taken since construction."""
        return self.handler.total_saves

    @property
    def total_restores(self) -> int:
        """Snapshots restored since construction."""
        return self.handler.total_restores

    def get_stats(self) -> dict[str, Any]:
        """Numbers for displays: saves, restores, how stuck it is, and every level's figures."""
        with self._lock:
            return self._session.get_stats()

    @property
    def _lock(self) -> StepLock:
        """The game's, held through a whole step: practice changes after the game has."""
        return self._game.step_lock

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin at the start or, after a death with ``restore="on_reset"``, at a snapshot.

        Args:
            seed: see :meth:`MarioEnv.reset <mario_envkit.env.MarioEnv.reset>`.
            options: as there; ``true_start=True`` begins at the level's own start.

        Raises:
            OptionError: for a seed or options that make no sense.
            CallOrderError: while another thread steps or resets this environment.
        """
        self._lock.begin()
        try:
            return self._reset(seed, options)
        finally:
            self._lock.end()

    def _reset(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        seed, options = as_seed(seed), read_options(options, self._game.game)
        session = self._session
        if session.goes_back(seed, options):
            observation, info = session.go_back()
            return observation, self._told(info)
        observation, info = self.env.reset(seed=seed, options=options)
        start = session.choose_start(seed, options, self._game.level)
        if start is not None:
            observation, info = session.go_to(start)
        session.begin(info, start, options)
        self._begun = True
        return observation, self._told(session.no_death(info))

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; save, restore or give up as is due.

        Raises:
            ResetRequired: before the first reset, and after the end of an episode.
            CallOrderError: while another thread steps or resets this environment.
        """
        lock = self._game.step_lock
        lock.begin()
        try:
            return self._step(action)
        finally:
            lock.end()

    def _step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        if not self._begun:
            raise ResetRequired("There is no episode to step yet; call reset() first.")
        observation, reward, terminated, truncated, info = self.env.step(action)
        verdict = self._session.after_step(
            observation, info, terminated=terminated, truncated=truncated
        )
        if verdict.outcome is Outcome.RESTORE:
            restored, restored_info = self._session.revive(observation, info)
            return restored, reward, False, False, self._told(restored_info)
        gives_up = verdict.outcome is Outcome.GIVE_UP
        info = self._told(self._session.no_death(info))
        return observation, reward, terminated or gives_up, truncated, info

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        return numbers_of(info) if self._numeric_info else info

    def save_context(self) -> tuple[Any, ...]:
        """What practice remembers and nobody else knows, for clones; no file can hold it."""
        return (self._session.save(),)

    def load_context(self, values: tuple[Any, ...]) -> None:
        """Go on from :meth:`save_context`."""
        self._session.load(*values)
        self._begun = True

    def snapshot_arguments(self) -> dict[str, Any]:
        """What a state must have in common with this wrapper: when it saves and restores."""
        return {"rules": self.handler.machine.rules}

    def sync_files(self) -> None:
        """Write hotspots and archive to their files, if they have any, and take in what is new.

        It happens by itself every 20 true starts and on ``close()``; a worker of a distributed run
        calls it when it wants to hear of the others.

        Raises:
            ArchiveError: if the archive's directory cannot be used any more.
        """
        with self._lock:
            self._session.sync_files()

    def close(self) -> None:
        """Write the files and close, after a step of another thread. Twice is harmless."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self.sync_files()
            finally:
                super().close()


def _check_first(env: Any) -> None:
    """Check that there are no snapshots in ``env``: what these remember no file can hold."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, SnapshotMarioEnvironment):
            raise OptionError(
                "The environment has snapshots already: make it without, or use it as it is."
            )
        env = env.env
