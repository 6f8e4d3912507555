"""Practise where Mario dies, in many games at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mario_envkit.arguments import as_int, check_keywords
from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.curriculum.start_states import Start
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.registration import make_mario
from mario_envkit.snapshots.context import Context, load_noise, save_noise
from mario_envkit.snapshots.handler import Outcome, SnapshotHandler
from mario_envkit.snapshots.make import training_options
from mario_envkit.snapshots.memory import SnapshotMemory
from mario_envkit.snapshots.options import SnapshotOptions
from mario_envkit.snapshots.session import SnapshotSession, blank_info
from mario_envkit.snapshots.watch import Watch
from mario_envkit.vector.env import MarioVectorEnv, Observations, Step
from mario_envkit.vector.infos import copied, frozen, masked, shared
from mario_envkit.wrappers.numeric import START_NAMES, numbers_of

if TYPE_CHECKING:
    from mario_envkit.vector.pool import Unfinished

_Info = dict[str, Any]


class MarioSnapshotVectorEnv(MarioVectorEnv):
    """``num_envs`` games with snapshots: ``gymnasium.make_vec("MarioSnapshot-v0", num_envs)``.

    Everything it returns is what ``gymnasium.vector.SyncVectorEnv`` returns over
    ``MarioSnapshot-v0`` with the same keyword arguments, bit for bit (where these name files: with
    one archive and one ``SharedHotspots`` for all of them). Their snapshots fit each other, too.
    Handlers are run only for the games in which something may be due; see
    :class:`~mario_envkit.snapshots.watch.Watch`.

    Args:
        num_envs: how many games.
        level: "1-1", ``(1, 1)``, and so on, see :class:`~mario_envkit.env.MarioEnv`.
        max_episode_steps: steps, those after restores included, after which an episode is
            truncated; None is no limit.
        kwargs: the options in :class:`~mario_envkit.snapshots.options.SnapshotOptions`, and what
            :class:`~mario_envkit.vector.MarioVectorEnv` and ``MarioTrain-v0`` take. Hotspots and
            archives that were given or are in files the games share: where one dies the others
            save at once, and practise from its snapshots. Without, every game keeps its own.
            Every game follows ``backward`` by itself; with ``start_states=BackwardStarts(run)``
            they move back together.

    Raises:
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        level: Any = None,
        max_episode_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        if max_episode_steps is not None:
            max_episode_steps = as_int("max_episode_steps", max_episode_steps, least=1)
        check_keywords(
            kwargs, type(self), SnapshotOptions, MarioVectorEnv, make_mario, MarioEnv,
            but=("picture",),
        )  # fmt: skip
        options, rest = SnapshotOptions.taken_from(kwargs)
        super().__init__(num_envs, **training_options(options, level, rest))
        # Counted here: in the core the count would go back with every restore.
        self._max_episode_steps = max_episode_steps
        self._elapsed = np.zeros(self.num_envs, np.int64)
        self._saved: set[int] = set()  # these three: for the infos of this step
        self._restored: set[int] = set()
        self._lost: dict[int, tuple[NDArray[np.uint8], _Info]] = {}
        self._begun_truly: list[int] = []
        self._watch = Watch(self._open)
        self._playground = Context(self._single)
        try:
            memory = SnapshotMemory(options)
            self._sessions = [
                SnapshotSession(slot, self._single, options, memory.for_another_game())
                for slot in self.slots
            ]
        except BaseException:
            super().close_extras()
            raise
        self._choose_starts = self._sessions[0].start_name is not None
        self._no_death = self._describe_no_death()

    def _own(self) -> dict[str, Callable[..., tuple[Any, ...]]]:
        of_handlers = ("total_saves", "total_restores")
        return {
            **super()._own(),
            "get_stats": lambda: tuple(session.get_stats() for session in self._sessions),
            "handler": lambda: self.handlers,
            **{
                name: lambda name=name: tuple(getattr(h, name) for h in self.handlers)
                for name in of_handlers
            },
        }

    # -- figures and files -------------------------------------------------------------------

    @property
    def handlers(self) -> tuple[SnapshotHandler, ...]:
        """What decides for each game; they may lag behind by the steps of a quiet stretch."""
        return tuple(session.handler for session in self._sessions)

    @property
    def total_saves(self) -> int:
        """Snapshots taken since construction, in all games."""
        return sum(handler.total_saves for handler in self.handlers)

    @property
    def total_restores(self) -> int:
        """Snapshots restored since construction, in all games."""
        return sum(handler.total_restores for handler in self.handlers)

    def get_stats(self) -> dict[str, Any]:
        """Numbers for displays, of all games together.

        The keys are those of a single environment: sums, but for ``restores_without_progress``
        (of the game that is stuck the most), ``snapshots`` (shared archives count once) and
        ``state`` (how many games are in each); and ``environments``, every game's own figures.
        """
        with self.step_lock:
            return self._get_stats()

    def _get_stats(self) -> dict[str, Any]:
        each = [session.get_stats() for session in self._sessions]
        together: dict[str, Any] = {
            key: sum(stats[key] for stats in each)
            for key in ("total_saves", "total_restores", "total_give_ups")
        }
        for key in ("restores_without_progress", "max_restores_without_progress"):
            together[key] = max(stats[key] for stats in each)
        states = [stats["state"] for stats in each]
        archives = {id(handler.archive): len(handler.archive) for handler in self.handlers}
        problems = (stats["hotspot_problem"] for stats in each)
        together.update(
            snapshots=sum(archives.values()),
            state={state: states.count(state) for state in sorted(set(states))},
            hotspot_problem=next((problem for problem in problems if problem), None),
            levels={name: stats.as_dict() for name, stats in sorted(self._level_stats().items())},
            environments=each,
        )
        return together

    def _level_stats(self) -> dict[str, LevelStats]:
        together: dict[str, LevelStats] = {}
        for handler in self.handlers:
            for level, stats in handler.level_stats.items():
                together.setdefault(level, LevelStats()).add(stats)
        return together

    def clone_state(self, indices: Any = None, include_rng: bool = True) -> NoReturn:
        """Not possible, as games of a vector may share what practice remembers.

        Raises:
            OptionError: always; says what to do.
        """
        raise OptionError(
            "A vector with snapshots has no states of single games; copy.deepcopy(envs) copies all "
            "of it, and MarioVectorEnv with the same arguments is what to plan in."
        )

    def restore_state(self, states: Any, indices: Any = None) -> NoReturn:
        """Not possible, see :meth:`clone_state`."""
        self.clone_state()

    def sync_files(self) -> None:
        """Write hotspots and archives to their files, if they have any, and take in what is new.

        Each game does so by itself every 20 true starts, and all do on ``close()``; a worker of a
        distributed run calls it when it wants to hear of the others, every half a minute or so.

        Raises:
            ArchiveError: if the archive's directory cannot be used any more.
        """
        with self.step_lock:
            for session in self._sessions:
                session.sync_files()

    def close_extras(self, **kwargs: Any) -> None:
        """Write the files, end the threads and free the machines."""
        try:
            whole = hasattr(self, "_sessions")  # not if an argument was wrong
            if whole and self._pool is not None and self._process == os.getpid():
                self.sync_files()
        finally:
            super().close_extras(**kwargs)

    # -- what the environments are to do -----------------------------------------------------

    def _begin_episode(
        self, i: int, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> None:
        self._elapsed[i] = 0
        self._saved.discard(i)
        self._restored.discard(i)
        self._lost.pop(i, None)
        session = self._sessions[i]
        if session.handler.has_start:
            self._watch.wake(i, session.handler)
        if session.goes_back(seed, options):
            self._put_back(i, *session.go_back())
            self._open.order_keep(i)
            return
        super()._begin_episode(i, seed, options)
        start = session.choose_start(seed, options, self._levels[i])
        if start is None:
            self._begun_truly.append(i)
        else:
            self._begin_at(i, start)

    def _begin_at(self, i: int, start: Start) -> None:
        """Begin at a start: a single environment plays up to there, and game ``i`` becomes that."""
        session = self._sessions[i]
        load_noise(self._game.np_random, save_noise(self._chances[i].np_random))
        observation, info = session.go_to(start)
        self.slots[i].load(self._playground.save())
        session.begin(info, start)
        self._put_back(i, observation, info)
        if not info["snapshot_restored"]:
            self._restored.discard(i)
        self._open.order_keep(i)

    def _put_back(self, i: int, observation: NDArray[np.uint8], info: _Info) -> None:
        """The rest of a restore: the game itself is back already."""
        self._scheduled[i].drop()
        self._open.restart_at(i, observation, info)
        self._watch.aim(i, self._sessions[i].handler)
        self._restored.add(i)

    # -- what came of it ---------------------------------------------------------------------

    def _finish_resets(self, unfinished: Unfinished, out: Observations, chosen: Any = None) -> None:
        super()._finish_resets(unfinished, out, chosen)
        for i in self._begun_truly:
            session = self._sessions[i]
            session.begin(self._open.infos.of(i))
            self._watch.aim(i, session.handler)
        self._begun_truly.clear()

    def _results(self, unfinished: Unfinished, out: Observations) -> Step:
        self._finish_resets(unfinished, out)
        rewards, terminated, truncated = self._outcomes()
        for i, info in self._decide(out, terminated, truncated).items():
            out[i] = self._revive(i, out[i].copy(), info)
        self._limit(truncated)
        self._ready = True
        self._watch.note()
        over = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and over.any():
            final = self._endings(over, out)
            self._restart(over, out)
            self._over = np.zeros_like(over)
            return out, rewards, terminated, truncated, {**final, **self._infos()}
        self._over = over
        return out, rewards, terminated, truncated, self._infos()

    def _decide(
        self, out: Observations, terminated: NDArray[np.bool_], truncated: NDArray[np.bool_]
    ) -> dict[int, _Info]:
        """Save and give up where it is due; returns where to restore, and the infos of the death.

        ``terminated`` and ``truncated`` become what they are with snapshots.
        """
        dead: dict[int, _Info] = {}
        infos = self._open.infos
        for i in self._watch.due(self._over):
            session = self._sessions[i]
            info = infos.of(i)
            self._watch.wake(i, session.handler)
            verdict = session.after_step(
                out[i], info, terminated=bool(terminated[i]), truncated=bool(truncated[i])
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
        restored, restored_info = self._sessions[i].revive(observation, info)
        self._put_back(i, restored, restored_info)
        self._lost[i] = observation, info
        return restored

    def _limit(self, truncated: NDArray[np.bool_]) -> None:
        if self._max_episode_steps is not None:
            self._elapsed += ~self._over  # those that were over have only begun anew
            truncated |= (self._elapsed >= self._max_episode_steps) & ~self._over

    def _infos(self, only: NDArray[np.bool_] | None = None) -> _Info:
        return self._with_snapshots(super()._infos(only), only)

    def _endings(self, over: NDArray[np.bool_], out: Observations) -> _Info:
        final = super()._endings(over, out)
        self._with_snapshots(final["final_info"], over)
        return final

    def _with_snapshots(self, infos: _Info, only: NDArray[np.bool_] | None) -> _Info:
        """The infos, of these games only, and what they say with snapshots; once a step."""
        if self._saved or self._restored:
            self._tell("snapshot_saved", self._saved, infos, only)
            self._tell("snapshot_restored", self._restored, infos, only)
        if self._choose_starts:
            self._name_starts(infos, only)
        if self._no_death is not None:
            infos.update(self._deaths(self._no_death, only))
        return infos

    def _tell(
        self, key: str, where: set[int], infos: _Info, only: NDArray[np.bool_] | None
    ) -> None:
        told = [i for i in where if only is None or only[i]]
        infos[key][told] = True
        where.difference_update(told)

    def _name_starts(self, infos: _Info, only: NDArray[np.bool_] | None) -> None:
        """Let infos say where episodes began."""
        names: NDArray[Any] = np.array([session.start_name for session in self._sessions], object)
        if self.numeric_info:
            names = np.array([START_NAMES.index(name) for name in names], np.int64)
        mask = np.ones(self.num_envs, np.bool_) if only is None else only.copy()
        names[~mask] = 0 if self.numeric_info else ""
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
                self._add_info(infos, numbers_of(said) if self.numeric_info else said, i)
        return infos

    def _describe_no_death(self) -> _Info | None:
        """What infos say of a death if there was none; None if they never do."""
        if not self._sessions[0].tells_deaths:
            return None
        info = self._open.infos.of(0)
        if self._choose_starts:
            info["start"] = ""
        infos: _Info = {}
        nothing = {"life_lost_info": blank_info(info)}
        for i in range(self.num_envs):
            infos = self._add_info(infos, numbers_of(nothing) if self.numeric_info else nothing, i)
        # Without memory of its own: it is in the infos of every step.
        infos["life_lost_obs"] = np.broadcast_to(np.uint8(0), self._observations.shape)
        infos["_life_lost_obs"] = np.ones(self.num_envs, np.bool_)
        return frozen(infos)

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().__getstate__().items() if name != "_no_death"
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._no_death = self._describe_no_death()
