"""Practise where Mario dies, in many games at once."""

from __future__ import annotations

from typing import Any, NoReturn

from mario_envkit.arguments import as_int, check_keywords
from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.registration import make_mario
from mario_envkit.snapshots.handler import SnapshotHandler
from mario_envkit.snapshots.hooks import SnapshotHooks
from mario_envkit.snapshots.make import training_options
from mario_envkit.snapshots.options import SnapshotOptions
from mario_envkit.vector.env import MarioVectorEnv


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
        try:
            self.hooks: SnapshotHooks = SnapshotHooks(self, options, max_episode_steps)
        except BaseException:
            self.close_extras()
            raise

    # -- figures and files -------------------------------------------------------------------

    @property
    def handlers(self) -> tuple[SnapshotHandler, ...]:
        """What decides for each game; they may lag behind by the steps of a quiet stretch."""
        return self.hooks.handlers

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
        each = [session.get_stats() for session in self.hooks.sessions]
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
            for level, stats in handler.attempts.level_stats.items():
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
            self.hooks.sync_files()
