"""Practise where Mario dies: snapshots as a Gymnasium wrapper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs

from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.runs import Run
from mario_envkit.curriculum.start_states import StartStates, resolve_start_states
from mario_envkit.errors import ArchiveError, OptionError
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.handler import Outcome, SnapshotHandler
from mario_envkit.snapshots.starting import EpisodeStarts, name_of
from mario_envkit.snapshots.state_machine import SnapshotRules

RESTORE_MODES = ("in_episode", "on_reset")
_FLUSH_EVERY = 20
"""Episodes, or deaths, between two looks at the files that are shared with others."""


class SnapshotMarioEnvironment(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Saves before dangerous places and now and then, and restores after a death.

    ``restore="in_episode"``: ``step`` answers a death with the restored observation, the reward of
    the death, ``terminated=False``, and an info that is the restored one except for ``died``,
    ``death_cause`` and ``reward_parts``, which are of the death, ``life_lost=True``,
    ``snapshot_restored=True``, ``final_obs`` and ``final_info``: what the death's step itself
    returned. Learners must treat ``life_lost`` as terminal.

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
    game but about the archive.

    ``reset(seed=...)`` also forgets what was learnt by play and is in no file, so that a seed
    decides everything. Wrappers around this one see one episode and keep what they remember:
    a time limit there goes on counting through restores, while one inside goes back with them.

    Args:
        env: a :class:`~mario_envkit.env.MarioEnv` in wrappers that snapshots know: ours and the
            common ones of Gymnasium, see :mod:`mario_envkit.snapshots.context`.
        hotspot_path: file of death hotspots, read at true starts and written now and then and on
            ``close()``; may be shared by many processes. None keeps them in memory.
        checkpoint_interval: frames without a save after which one is due.
        max_restores_without_progress: restores in a row that lead nowhere.
        restore: "in_episode" or "on_reset".
        archive: a :class:`SnapshotArchive`, which environments of one process may share; a
            directory, which processes may share; None for one of its own.
        restore_noise: let a restore bring back the random generator too, so that sticky actions
            repeat themselves exactly; False gives every attempt its own luck.
        start_states: the share of episodes that begin at archived snapshots, like 0.35; or a
            ``StartStates``: ``StartStateSampler`` of
            :mod:`mario_envkit.curriculum.start_states`, or ``BackwardStarts`` of
            :mod:`mario_envkit.curriculum.backward`; None begins all truly.
        backward: a :class:`~mario_envkit.curriculum.runs.Run` that reaches the flag, or the file
            of one, along which to learn from its end: ``start_states=BackwardStarts(backward)``.

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
        restore_noise: bool = True,
        start_states: float | StartStates | None = None,
        backward: Run | str | os.PathLike[str] | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # an archive is shared, not copied
            hotspot_path=hotspot_path,
            checkpoint_interval=checkpoint_interval,
            max_restores_without_progress=max_restores_without_progress,
            restore=restore,
            archive=archive,
            restore_noise=restore_noise,
            start_states=start_states,
            backward=backward,
        )
        super().__init__(env)
        if restore not in RESTORE_MODES:
            raise OptionError(
                f"restore={restore!r} does not exist; choose one of {', '.join(RESTORE_MODES)}."
            )
        rules = SnapshotRules(
            checkpoint_interval=checkpoint_interval,
            max_restores_without_progress=max_restores_without_progress,
        )
        self._in_episode = restore == "in_episode"
        self._private = archive is None
        self._directory: Path | None = None
        if archive is None:
            archive = SnapshotArchive()
        elif not isinstance(archive, SnapshotArchive):
            self._directory = _writable(Path(archive))
            archive = SnapshotArchive.load(self._directory)
        hotspots = SharedHotspots(Path(hotspot_path) if hotspot_path is not None else None)
        if start_states is not None and backward is not None:
            raise OptionError(
                "start_states and backward both say where episodes begin; give one of them."
            )
        states = resolve_start_states(start_states)
        if backward is not None:
            states = BackwardStarts(backward)
        self.handler = SnapshotHandler(
            env, archive, hotspots, rules, restore_noise=restore_noise, starts=states
        )
        self._starts: EpisodeStarts | None = None
        if states is not None:
            self._starts = EpisodeStarts(env, archive, self.handler.load, states)
        self._start_name = "true"
        self._begun = self._pending = False
        self._until_flush = _FLUSH_EVERY
        self._closed = False

    @property
    def total_saves(self) -> int:
        """Snapshots taken into the archive since construction."""
        return self.handler.total_saves

    @property
    def total_restores(self) -> int:
        """Snapshots restored since construction."""
        return self.handler.total_restores

    def get_stats(self) -> dict[str, Any]:
        """Numbers for displays: saves, restores, how stuck it is, and every level's figures."""
        handler = self.handler
        return {
            "total_saves": handler.total_saves,
            "total_restores": handler.total_restores,
            "total_give_ups": handler.total_give_ups,
            "restores_without_progress": handler.machine.restores_without_progress,
            "max_restores_without_progress": handler.machine.rules.max_restores_without_progress,
            "snapshots": len(handler.archive),
            "state": handler.machine.state.value,
            "hotspot_problem": handler.hotspots.problem,
            "levels": {level: s.as_dict() for level, s in sorted(handler.level_stats.items())},
        }

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin at the start or, after a death with ``restore="on_reset"``, at a snapshot."""
        asked = options or {}
        elsewhere = asked.get("start") is not None
        fixed = seed is not None or asked.get("true_start") or asked.get("level") is not None
        pending, self._pending = self._pending, False
        if pending and not (fixed or elsewhere):
            observation, info = self.handler.restore()
            return observation, self._named(info, "archive")
        if seed is not None:
            self._forget(seed)
        observation, info = self.env.reset(seed=seed, options=options)
        self._flush_now_and_then()
        self._begun = True
        start = None
        if self._starts is not None and not (fixed or elsewhere):
            start = self._starts.choose(self.unwrapped.level)  # type: ignore[attr-defined]
            if start is not None:
                observation, info = self._starts.begin(start)
        self.handler.begin(info, start, true_start=not elsewhere)
        return observation, self._named(info, "run" if elsewhere else name_of(start))

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; save, restore or give up as is due."""
        if not self._begun:
            raise ResetNeeded("Call reset() before the first step().")
        observation, reward, terminated, truncated, info = self.env.step(action)
        verdict = self.handler.after_step(
            observation, info, terminated=terminated, truncated=truncated
        )
        self._named(info)
        if verdict.outcome is Outcome.GO_ON:
            info["snapshot_saved"] = verdict.saved
            return observation, reward, terminated, truncated, info
        if verdict.outcome is Outcome.GIVE_UP or not self._in_episode:
            self._pending = verdict.outcome is Outcome.RESTORE
            return observation, reward, True, truncated, info
        restored, restored_info = self.handler.restore()
        restored_info.update(
            died=True,
            death_cause=info["death_cause"],
            reward_parts=info["reward_parts"],
            life_lost=True,
            snapshot_restored=True,
            final_obs=observation,
            final_info=info,
        )
        return restored, reward, False, False, self._named(restored_info)

    def save_files(self) -> None:
        """Write hotspots and archive to their files, if they have any, and take in what is new.

        Raises:
            ArchiveError: if the archive's directory cannot be used any more.
        """
        self.handler.hotspots.flush()
        if self._directory is not None:
            self.handler.archive.save(self._directory)
            self.handler.archive.update(self._directory)
        self._until_flush = _FLUSH_EVERY

    def close(self) -> None:
        """Write the files and close. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        try:
            self.save_files()
        finally:
            super().close()

    def _flush_now_and_then(self) -> None:
        self._until_flush -= 1
        if self._until_flush <= 0:
            self.save_files()

    def _named(self, info: dict[str, Any], start: str | None = None) -> dict[str, Any]:
        """``info``, which says where the episode began; ``start`` if it begins now."""
        if start is not None:
            self._start_name = start
            info["snapshot_restored"] = start == "archive"
        if self._starts is not None:
            info["start"] = self._start_name
        return info

    def _forget(self, seed: int) -> None:
        self.handler.leave()
        if self._starts is not None:
            self._starts.seed(seed)
        self.handler.hotspots.flush()
        self.handler.hotspots.forget()
        if self._private:
            self.handler.archive.clear()


def _writable(directory: Path) -> Path:
    """``directory``, which exists from now on.

    Raises:
        ArchiveError: if nothing can be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(directory, os.W_OK | os.X_OK) else "no permission"
    except OSError as error:
        reason = str(error.strerror)
    if reason is not None:
        raise ArchiveError(
            f"archive={str(directory)!r} cannot be written: {reason}; give a directory that is "
            "writable."
        )
    return directory
