"""Snapshots in a vector: what they make of its steps and resets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.curriculum.start_states import Start
from mario_envkit.snapshots.context import Context, load_noise, save_noise
from mario_envkit.snapshots.handler import Outcome, SnapshotHandler
from mario_envkit.snapshots.memory import SnapshotMemory
from mario_envkit.snapshots.options import SnapshotOptions
from mario_envkit.snapshots.session import SnapshotSession, blank_info
from mario_envkit.snapshots.watch import Watch
from mario_envkit.vector.hooks import VectorHooks
from mario_envkit.vector.infos import copied, frozen, masked, shared
from mario_envkit.wrappers.numeric import START_NAMES, numbers_of

if TYPE_CHECKING:
    from mario_envkit.vector.env import MarioVectorEnv

_Info = dict[str, Any]


class SnapshotHooks(VectorHooks):
    """A session for each game, asked only where something may be due (see :class:`Watch`).

    Args:
        envs: the games.
        options: of snapshots.
        max_episode_steps: steps, those after restores included, after which an episode is
            truncated; None is no limit. (In the core the count would go back with every restore.)

    Attributes:
        sessions: one for each game.
    """

    def __init__(
        self, envs: MarioVectorEnv, options: SnapshotOptions, max_episode_steps: int | None
    ) -> None:
        self._envs = envs
        memory = SnapshotMemory(options)
        self.sessions = [
            SnapshotSession(slot, envs.single, options, memory.for_another_game())
            for slot in envs.slots
        ]
        self._max_episode_steps = max_episode_steps
        self._elapsed = np.zeros(envs.num_envs, np.int64)
        self._saved: set[int] = set()  # these three: for the infos of this step
        self._restored: set[int] = set()
        self._lost: dict[int, tuple[NDArray[np.uint8], _Info]] = {}
        self._begun_truly: list[int] = []
        self._watch = Watch(envs.pool)
        self._playground = Context(envs.single)
        self._choose_starts = self.sessions[0].start_name is not None

    @property
    def handlers(self) -> tuple[SnapshotHandler, ...]:
        """What decides for each game; they may lag behind by the steps of a quiet stretch."""
        return tuple(session.handler for session in self.sessions)

    def attributes(self) -> dict[str, Callable[..., tuple[Any, ...]]]:
        """Figures and handlers."""
        return {
            "get_stats": lambda: tuple(session.get_stats() for session in self.sessions),
            "handler": lambda: self.handlers,
            "total_saves": lambda: tuple(handler.total_saves for handler in self.handlers),
            "total_restores": lambda: tuple(handler.total_restores for handler in self.handlers),
        }

    def sync_files(self) -> None:
        """Write hotspots and archives to their files, if they have any, and take in what is new."""
        for session in self.sessions:
            session.sync_files()

    def close(self) -> None:
        """Write the files."""
        self.sync_files()

    # -- where episodes begin ----------------------------------------------------------------

    def replace_reset(self, env: int, seed: int | None, options: dict[str, Any] | None) -> bool:
        """Begin at a snapshot, if a death before has led to that."""
        self._elapsed[env] = 0
        self._saved.discard(env)
        self._restored.discard(env)
        self._lost.pop(env, None)
        session = self.sessions[env]
        if session.handler.attempts.has_start:
            self._watch.wake(env, session.handler)
        if not session.goes_back(seed, options):
            return False
        self._put_back(env, *session.go_back())
        return True

    def replace_start(self, env: int, seed: int | None, options: dict[str, Any] | None) -> bool:
        """Begin elsewhere in the level, if that is what is practised."""
        session = self.sessions[env]
        start = session.choose_start(seed, options, self._envs.levels[env])
        if start is None:
            self._begun_truly.append(env)
            return False
        self._begin_at(env, start)
        return True

    def _begin_at(self, env: int, start: Start) -> None:
        """A single environment plays up to the start, and the game becomes that."""
        session, envs = self.sessions[env], self._envs
        if envs.chances.blanks is not None:
            envs.chances.blanks.draw(env)  # for the true start, which nobody sees
        load_noise(envs.single.unwrapped.np_random, save_noise(envs.chances.games[env].np_random))
        if envs.chances.sticky_actions is not None:  # which games may have of their own
            name = "repeat_action_probability"
            envs.single.set_wrapper_attr(name, getattr(envs.chances.sticky_actions[env], name))
        observation, info = session.go_to(start)
        envs.slots[env].load(self._playground.save())
        session.begin(info, start)
        self._put_back(env, observation, info)
        if not info["snapshot_restored"]:
            self._restored.discard(env)

    def _put_back(self, env: int, observation: NDArray[np.uint8], info: _Info) -> None:
        """The rest of a restore: the game itself is back already."""
        self._envs.schedules[env].drop()
        self._envs.pool.restart_at(env, observation, info)
        self._watch.aim(env, self.sessions[env].handler)
        self._restored.add(env)

    def after_resets(self) -> None:
        """Begin the sessions of episodes that have begun truly."""
        for env in self._begun_truly:
            session = self.sessions[env]
            session.begin(self._envs.pool.infos.of(env))
            self._watch.aim(env, session.handler)
        self._begun_truly.clear()

    # -- what steps lead to ------------------------------------------------------------------

    def after_step(
        self,
        observations: NDArray[np.uint8],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> None:
        """Save, restore and give up where it is due, and count steps."""
        dead = self._decide(observations, terminated, truncated)
        for env, info in dead.items():
            observations[env] = self._revive(env, observations[env].copy(), info)
        if self._max_episode_steps is not None:
            going_on = ~self._envs.over  # the others have only begun anew
            self._elapsed += going_on
            truncated |= (self._elapsed >= self._max_episode_steps) & going_on
        self._watch.note()

    def _decide(
        self,
        observations: NDArray[np.uint8],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> dict[int, _Info]:
        """Save and give up where it is due; returns where to restore, and the infos of the death.

        ``terminated`` and ``truncated`` become what they are with snapshots.
        """
        dead: dict[int, _Info] = {}
        infos = self._envs.pool.infos
        for i in self._watch.due(self._envs.over):
            session = self.sessions[i]
            info = infos.of(i)
            self._watch.wake(i, session.handler)
            verdict = session.after_step(
                observations[i], info, terminated=bool(terminated[i]), truncated=bool(truncated[i])
            )
            if verdict.outcome is Outcome.RESTORE:
                terminated[i] = truncated[i] = False
                dead[i] = info
                continue
            self._watch.aim(i, session.handler)
            if verdict.outcome is Outcome.GIVE_UP:
                terminated[i] = True
                infos.put(i, info)  # which says how the episode ended
            elif verdict.saved:
                self._saved.add(i)
        return dead

    def _revive(self, i: int, observation: NDArray[np.uint8], info: _Info) -> NDArray[np.uint8]:
        """Go back to a snapshot; the restored observation."""
        restored, restored_info = self.sessions[i].revive(observation, info)
        self._put_back(i, restored, restored_info)
        self._lost[i] = observation, info
        return restored

    # -- infos -------------------------------------------------------------------------------

    def extend_infos(self, infos: _Info, only: NDArray[np.bool_] | None) -> None:
        """Let infos say what happened, once: saves, restores, where episodes began, lost lives."""
        if self._saved or self._restored:
            self._tell("snapshot_saved", self._saved, infos, only)
            self._tell("snapshot_restored", self._restored, infos, only)
        if self._choose_starts:
            self._name_starts(infos, only)
        if self._no_death is not None:
            infos.update(self._deaths(self._no_death, only))

    def _tell(
        self, key: str, where: set[int], infos: _Info, only: NDArray[np.bool_] | None
    ) -> None:
        told = [i for i in where if only is None or only[i]]
        infos[key][told] = True
        where.difference_update(told)

    def _name_starts(self, infos: _Info, only: NDArray[np.bool_] | None) -> None:
        """Let infos say where episodes began."""
        names: NDArray[Any] = np.array([session.start_name for session in self.sessions], object)
        if self._envs.numeric_info:
            names = np.array([START_NAMES.index(name) for name in names], np.int64)
        mask = np.ones(self._envs.num_envs, np.bool_) if only is None else only.copy()
        names[~mask] = 0 if self._envs.numeric_info else ""
        infos["start"], infos["_start"] = names, mask

    def _deaths(self, none: _Info, only: NDArray[np.bool_] | None) -> _Info:
        """What the infos say of the games that went back in this step, see ``revive``."""
        infos = shared(none) if only is None else masked(none, only.copy())
        if not self._lost:
            return infos
        told = [i for i in self._lost if only is None or only[i]]
        if told:
            infos = copied(infos)
            for i in told:
                observation, info = self._lost.pop(i)
                said = {"life_lost_obs": observation, "life_lost_info": info}
                self._envs._add_info(
                    infos, numbers_of(said) if self._envs.numeric_info else said, i
                )
        return infos

    @cached_property
    def _no_death(self) -> _Info | None:
        """What infos say of a death if there was none; None if they never do."""
        if not self.sessions[0].tells_deaths:
            return None
        info = self._envs.pool.infos.of(0)
        if self._choose_starts:
            info["start"] = ""
        infos: _Info = {}
        nothing = {"life_lost_info": blank_info(info)}
        for i in range(self._envs.num_envs):
            infos = self._envs._add_info(
                infos, numbers_of(nothing) if self._envs.numeric_info else nothing, i
            )
        # Without memory of its own: it is in the infos of every step.
        infos["life_lost_obs"] = np.broadcast_to(
            np.uint8(0), self._envs.observation_space.shape or ()
        )
        infos["_life_lost_obs"] = np.ones(self._envs.num_envs, np.bool_)
        return frozen(infos)

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which need not carry what can be made again."""
        return {name: value for name, value in vars(self).items() if name != "_no_death"}
