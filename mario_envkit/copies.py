"""Copies, pickles and clones of an environment with a console."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gymnasium.utils import EzPickle

from mario_envkit.arguments import not_possible
from mario_envkit.errors import ResetRequired
from mario_envkit.game.endings import EpisodeRecord
from mario_envkit.game.levels import Level

if TYPE_CHECKING:
    from typing_extensions import Self

    from mario_envkit.curriculum.schedule import KeptSchedule, ScheduledLevels
    from mario_envkit.emulator.picture import Picture
    from mario_envkit.emulator.protocol import Emulator
    from mario_envkit.game.rewards import RewardFunction
    from mario_envkit.game.rules import Game
    from mario_envkit.game.tile_options import TileOptions
    from mario_envkit.snapshots.context import Saved
    from mario_envkit.step_lock import StepLock

CONTEXT = "_context_for_clones"
"""The attribute of an environment in which its context is kept, see :mod:`mario_envkit.clone`."""

_CONSOLE = frozenset({"emulator", "ram"})
_NOT_COPIED = frozenset(
    (
        "cartridge",
        "emulator",
        "_game",
        "_window",
        "on_frame",
        "observation_space",
        "step_lock",
        CONTEXT,
    )
)
"""Attributes that a copy does not get: it has those that the constructor gives it. (The bounds of
an observation space are four times the size of a picture.)"""


@dataclass(frozen=True, slots=True, eq=False)
class EnvState:
    """An environment between two steps, as a value: it can be kept, pickled and sent.

    Attributes:
        saved: console, wrappers and (unless it was left out) random generator.
        schedule: the schedule of levels.
        playing: False after a step that ended the episode.
        elapsed: steps since the episode began, in a vector; its time limit counts them.
    """

    saved: Saved
    schedule: KeptSchedule
    playing: bool = True
    elapsed: int = 0


def check_state(state: Any) -> EnvState:
    """``state``, which is one.

    Raises:
        OptionError: if it is not.
    """
    if not isinstance(state, EnvState):
        raise not_possible("state", state, "what clone_state() returned")
    return state


class CopiedWhole(EzPickle):
    """``copy.deepcopy`` and pickle carry what an environment is, not only how it was made.

    So do the values that snapshots and planners take of it.
    """

    emulator: Emulator
    step_lock: StepLock
    level: Level | None
    picture: Picture
    reward_function: RewardFunction
    _reward_made: RewardFunction
    _tile_options: TileOptions
    end_on_exit: bool
    _game: Game
    _levels: ScheduledLevels
    _memory: Any
    _record: EpisodeRecord
    _observes: str
    _playing: bool
    _closed: bool

    def _show(self) -> None:
        raise NotImplementedError

    # -- copies ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the cartridge, the window and ``on_frame``."""
        with self.step_lock:
            state = {name: value for name, value in vars(self).items() if name not in _NOT_COPIED}
            game = {name: value for name, value in vars(self._game).items() if name not in _CONSOLE}
            console = None if self._closed else self.emulator.save()
        return {**state, "game's": game, "console": console}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the environment anew from its arguments, then let it be where the other one was."""
        state = dict(state)
        game, console = state.pop("game's"), state.pop("console")
        made = type(self)(*state["_ezpickle_args"], **state["_ezpickle_kwargs"])
        vars(self).update({**vars(made), **state})
        vars(self._game).update(game)
        if console is None:
            self.emulator.close()
            return
        self.emulator.load(console)
        self._game.refresh()

    def __copy__(self) -> Self:
        """A copy has a console of its own: there is no shallow one."""
        return deepcopy(self)

    def made_again(self) -> Self:
        """A new environment with the same arguments, which was never reset."""
        return type(self)(*self._ezpickle_args, **self._ezpickle_kwargs)

    # -- for snapshots -----------------------------------------------------------------------

    def save_context(self) -> tuple[Any, ...]:
        """What this environment remembers beside the console's state, as plain values.

        Raises:
            ResetRequired: before the first reset.
        """
        if self._memory is None:
            raise ResetRequired("There is no game to save yet: call reset() first.")
        level = None if self.level is None else tuple(self.level)
        return level, self._game.frames, tuple(self._record), self._memory

    def load_context(self, values: tuple[Any, ...]) -> None:
        """Go on from :meth:`save_context`, the console having been loaded already."""
        self._levels.drop()
        level, self._game.frames, record, self._memory = values
        self._record = EpisodeRecord(*record)
        self.level = None if level is None else Level(*level)
        self._game.refresh()
        self._playing = True
        self._show()

    def snapshot_arguments(self) -> dict[str, Any]:
        """The arguments that shape observations, actions and rewards.

        A snapshot belongs to them, see :mod:`mario_envkit.snapshots.kind`.
        """
        picture = self.picture
        pixels = {
            "screen_size": picture.size or picture.source_size,
            "grayscale": picture.grayscale,
            "crop_top": picture.crop_top,
            "palette": picture.palette,
        }
        return {
            "observation": self._observes,
            **(pixels if self._observes == "pixels" else {}),
            **self._tile_options.shown(),
            "reward": self._reward_made,  # whatever its weights have become
            "end_on_exit": self.end_on_exit,
        }

    # -- for planners ------------------------------------------------------------------------

    def clone_state(self, include_rng: bool = True) -> EnvState:
        """This game as a value, without the wrappers around it.

        Of an environment in wrappers take :func:`mario_envkit.clone_state`, which see.
        """
        from mario_envkit.clone import clone_state  # which imports the environment

        return clone_state(self, include_rng)  # type: ignore[arg-type]

    def restore_state(self, state: EnvState) -> None:
        """Go on from :meth:`clone_state`; see :func:`mario_envkit.restore_state`."""
        from mario_envkit.clone import restore_state

        restore_state(self, state)  # type: ignore[arg-type]
