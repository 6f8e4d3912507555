"""Snapshots of one environment, whoever steps it: a wrapper, or a vector of many."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_envkit.curriculum.start_states import Start
from mario_envkit.game.levels import Level
from mario_envkit.snapshots.context import Restorable
from mario_envkit.snapshots.handler import Outcome, SnapshotHandler, Verdict
from mario_envkit.snapshots.memory import SnapshotMemory
from mario_envkit.snapshots.options import SnapshotOptions
from mario_envkit.snapshots.starting import EpisodeStarts, name_of

_FLUSH_EVERY = 20
"""Episodes, or deaths, between two looks at the files that are shared with others."""


class SnapshotSession:
    """A handler, the memory it shares with others, and what a restore looks like to the agent.

    Args:
        context: the environment.
        env: that, or a single one like it, in which starts are played up to.
        options: when it saves and restores, and where episodes begin.
        memory: where snapshots go, and where Mario dies.

    Raises:
        OptionError: if the environment's observations cannot be saved.
        SnapshotMismatch: if the archive is of another game, core or kind of environment.
    """

    NOT_REMEMBERED = "_memory", "handler", "_starts", "_in_episode", "_nothing_said"

    def __init__(
        self,
        context: Restorable,
        env: gymnasium.Env[Any, Any],
        options: SnapshotOptions,
        memory: SnapshotMemory,
    ) -> None:
        states = options.starts()
        self._memory = memory
        self._in_episode = options.restore == "in_episode"
        self.handler = SnapshotHandler(
            context,
            memory.archive,
            memory.hotspots,
            options.rules,
            restore_noise=options.restore_noise,
            starts=states,
        )
        self._starts = None if states is None else EpisodeStarts(env, self.handler, states)
        self._start_name = "true"
        self._pending = False
        self._until_flush = _FLUSH_EVERY
        # What infos say of a death where there was none: every step says it, so it is kept.
        self._nothing_said: dict[str, Any] = {}

    # -- resets ------------------------------------------------------------------------------

    def goes_back(self, seed: int | None, options: dict[str, Any] | None) -> bool:
        """Whether the reset that was asked for is to begin at a snapshot.

        If so, :meth:`go_back` must follow; else a true start, :meth:`choose_start`, if that says
        so :meth:`go_to`, and then :meth:`begin`.
        """
        pending, self._pending = self._pending, False
        if seed is not None:
            self._forget(seed)
        self.handler.attempts.end_start(completed=False)  # what it led to until now
        return pending and not _is_fixed(seed, options)

    def go_back(self) -> tuple[NDArray[Any], dict[str, Any]]:
        """Restore; the observation and the info of the reset."""
        observation, info = self.handler.restore()
        self._begins(info, "archive")
        return observation, info

    def choose_start(
        self, seed: int | None, options: dict[str, Any] | None, level: Level | None
    ) -> Start | None:
        """Where an episode of ``level`` that was reset with these is to begin; None: truly."""
        if self._starts is None or _is_fixed(seed, options):
            return None
        return self._starts.choose(level)

    def go_to(self, start: Start) -> tuple[NDArray[Any], dict[str, Any]]:
        """Play ``env`` up to there; the observation and the info of the reset."""
        assert self._starts is not None
        return self._starts.begin(start)

    def begin(self, info: dict[str, Any], start: Start | None = None, options: Any = None) -> None:
        """An episode begins at ``start``, with the info of its reset."""
        self._until_flush -= 1
        if self._until_flush <= 0:
            self.sync_files()
        elsewhere = (options or {}).get("start") is not None
        self.handler.begin(info, start, true_start=not elsewhere)
        self._begins(info, "run" if elsewhere else name_of(start))

    @property
    def start_name(self) -> str | None:
        """Where the episode began, for infos; None if they do not say it."""
        return None if self._starts is None else self._start_name

    def _begins(self, info: dict[str, Any], name: str) -> None:
        self._start_name = name
        info["snapshot_restored"] = name == "archive"
        self._name(info)

    def _name(self, info: dict[str, Any]) -> None:
        if self._starts is not None:
            info["start"] = self._start_name

    # -- steps -------------------------------------------------------------------------------

    def after_step(
        self,
        observation: NDArray[Any],
        info: dict[str, Any],
        *,
        terminated: bool,
        truncated: bool,
    ) -> Verdict:
        """What a step led to; RESTORE only where it is to happen now, by :meth:`revive`.

        Otherwise the info's ``snapshot_saved`` or, as GIVE_UP ends the episode, its ``ending`` has
        been filled in.
        """
        verdict = self.handler.after_step(
            observation, info, terminated=terminated, truncated=truncated
        )
        self._name(info)
        if verdict.outcome is Outcome.RESTORE and not self._in_episode:
            self._pending = True
            verdict = Verdict(verdict.saved, Outcome.GIVE_UP)
        if verdict.outcome is Outcome.GO_ON:
            info["snapshot_saved"] = verdict.saved
        elif verdict.outcome is Outcome.GIVE_UP:
            # In the full game a lost life alone is no end.
            info["ending"] = info["ending"] or info["death_cause"]
        return verdict

    def revive(
        self, observation: NDArray[Any], info: dict[str, Any]
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Restore within the episode, after a death with this observation and info.

        The keys are not those of the end of an episode, ``final_obs`` and ``final_info``: with
        autoreset Gymnasium and the libraries on top of it take those for one.
        """
        restored, restored_info = self.handler.restore()
        restored_info.update(
            died=True,
            death_cause=info["death_cause"],
            reward_parts=info["reward_parts"],
            life_lost=True,
            snapshot_restored=True,
            life_lost_obs=observation,
            life_lost_info=info,
        )
        self._name(restored_info)
        return restored, restored_info

    @property
    def tells_deaths(self) -> bool:
        """Whether infos have ``life_lost_obs`` and ``life_lost_info``."""
        return self._in_episode

    def no_death(self, info: dict[str, Any]) -> dict[str, Any]:
        """``info`` with the keys of :meth:`revive`, if there are such, as no life was lost."""
        if self._in_episode:
            if len(self._nothing_said) != len(info):  # before the first step
                self._nothing_said = blank_info(info)
            blank = self._nothing_said.copy()
            blank["reward_parts"] = blank["reward_parts"].copy()
            space = self.handler.observation_space
            info["life_lost_obs"] = np.zeros(space.shape, space.dtype)
            info["life_lost_info"] = blank
        return info

    # -- as a value --------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """All that practice remembers, but for what others know as well, between two steps."""
        return self._copied({name: _remembered(part) for name, part in self._parts().items()})

    def load(self, kept: dict[str, Any]) -> None:
        """Go on from :meth:`save`, which the session of another such environment may have made."""
        kept = self._copied(kept)
        for name, part in self._parts().items():
            vars(part).update(kept[name])

    def _parts(self) -> dict[str, Any]:
        """Whatever remembers anything; of its attributes ``NOT_REMEMBERED`` are other things."""
        handler = self.handler
        parts: dict[str, Any] = {"session": self, "handler": handler, "attempts": handler.attempts}
        parts.update(self._memory.own())
        if self._starts is not None:
            parts.update(starts=self._starts, states=self._starts.states)
        return parts

    def _copied(self, kept: dict[str, Any]) -> dict[str, Any]:
        # Snapshots of an archive that others know, too, stay those of the archive.
        known = {} if self._memory.own_archive else {id(e): e for e in self._memory.archive}
        return deepcopy(kept, known)

    # -- files and figures -------------------------------------------------------------------

    def sync_files(self) -> None:
        """Write hotspots and archive to their files, if they have any, and take in what is new.

        Raises:
            ArchiveError: if the archive's directory cannot be used any more.
        """
        self._memory.sync()
        self._until_flush = _FLUSH_EVERY

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
            "levels": {
                level: s.as_dict() for level, s in sorted(handler.attempts.level_stats.items())
            },
        }

    def _forget(self, seed: int) -> None:
        self.handler.attempts.forget_start()
        if self._starts is not None:
            self._starts.seed(seed)
        self._memory.forget()


def _remembered(part: Any) -> dict[str, Any]:
    without = getattr(part, "NOT_REMEMBERED", ())
    return {key: value for key, value in vars(part).items() if key not in without}


def blank_info(info: dict[str, Any]) -> dict[str, Any]:
    """The same keys and types, all zero, False and ""."""
    return {
        key: blank_info(value) if isinstance(value, dict) else type(value)()
        for key, value in info.items()
    }


def _is_fixed(seed: int | None, options: dict[str, Any] | None) -> bool:
    """Whether a reset with these says itself where the episode begins."""
    asked = options or {}
    where = (asked.get("true_start"), asked.get("level"), asked.get("start"))
    return seed is not None or any(value is not None and value is not False for value in where)
