"""Rewards as sums of terms, each with a weight: how much it pays, and at which price.

A term is pure: what it must remember travels beside it, as a tuple of integers. So an environment
saves and restores its reward by keeping a tuple, and the same terms run on one game (plain
numbers) and on a batch of games (arrays in every field of the state): they use only arithmetic
and comparisons that mean the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeAlias

import numpy as np

from mario_envkit.arguments import (
    as_bool,
    as_number,
    as_sequence,
    as_text,
    not_possible,
)
from mario_envkit.errors import OptionError
from mario_envkit.game.state import GameState

Number: TypeAlias = Any
"""A number, or an array ``(num_envs,)`` of them."""

Memory: TypeAlias = tuple[Number, ...]
"""What a term remembers from frame to frame."""


class RewardTerm(Protocol):
    """One reason to be rewarded.

    Attributes:
        name: under which the term appears in ``info["reward_parts"]``.
    """

    @property
    def name(self) -> str: ...

    def start(self, state: GameState) -> Memory:
        """What to remember when an episode begins in ``state``."""

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        """The reward for the frame that led to ``state``, and what to remember from now on."""


class BuiltInTerm:
    """A term of ours: its fields are texts, numbers and flags, as their annotations say.

    Terms that users derive from ours may have fields of other types, which are theirs to check.
    """

    def __post_init__(self) -> None:
        checks: dict[Any, Callable[[str, Any], Any]]
        checks = {"str": as_text, "float": as_number, "bool": as_bool}
        for each in fields(self):  # type: ignore[arg-type]
            kind = each.type if isinstance(each.type, str) else getattr(each.type, "__name__", "")
            if kind in checks:
                value = checks[kind](each.name, getattr(self, each.name))
                object.__setattr__(self, each.name, value)


@dataclass(frozen=True)
class Distance(BuiltInTerm):
    """Pixels moved to the right in the frame (7.4); jumps of more than 5 are scene changes: 0.

    Such a jump is, as in 7.4, also the step over the left end of an area.

    Attributes:
        weight: what this pays is multiplied by it.
    """

    name: str = "distance"
    weight: float = 1

    def start(self, state: GameState) -> Memory:
        return (state.x_pos & 0xFFFF,)

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        x = state.x_pos & 0xFFFF
        moved = x - memory[0]
        return self.weight * (moved * ((moved >= -5) & (moved <= 5))), (x,)


@dataclass(frozen=True)
class Progress(BuiltInTerm):
    """Pixels beyond the best x so far (9.x); jumps of more than 5 are scene changes: 0.

    Attributes:
        per_area: forget the best x on entering another area, whose x starts anew.
        weight: what this pays is multiplied by it.
    """

    name: str = "progress"
    per_area: bool = False
    weight: float = 1

    def start(self, state: GameState) -> Memory:
        return state.x_pos, state.area

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        best, area = memory
        moved = state.x_pos - best
        entered = (state.area != area) & self.per_area
        gained = moved * ((moved > 0) & (moved <= 5) & (entered == 0))
        return self.weight * gained, (best + moved * ((moved > 0) | entered), state.area)


@dataclass(frozen=True)
class Clock(BuiltInTerm):
    """Minus ``weight`` whenever the clock ticks; one that was wound up again costs nothing."""

    name: str = "clock"
    weight: float = 1

    def start(self, state: GameState) -> Memory:
        return (state.time,)

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        ticks = state.time - memory[0]
        return self.weight * (ticks * (ticks <= 0)), (state.time,)


@dataclass(frozen=True)
class Death(BuiltInTerm):
    """``penalty`` in every frame in which Mario is dying or dead."""

    penalty: float = -25
    name: str = "death"

    def start(self, state: GameState) -> Memory:
        return ()

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        return self.penalty * (state.dying | state.dead), ()


@dataclass(frozen=True)
class Flag(BuiltInTerm):
    """``bonus`` in the first frame in which the stage is won.

    Never for the flag of another stage where a warp ends the episode (``end_on_exit``).

    Attributes:
        once: at most once an episode (9.x), instead of once a stage.
    """

    bonus: float = 50
    name: str = "flag"
    once: bool = False

    def start(self, state: GameState) -> Memory:
        return (state.flag_get & False,)

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        first = (state.flag_get > memory[0]) * 1
        return self.bonus * first, (memory[0] | state.flag_get if self.once else state.flag_get,)


@dataclass(frozen=True)
class Warp(BuiltInTerm):
    """``bonus`` in the frame in which a stage is left for another one without its flag.

    None of the named rewards has it: a warp is worth no more there than the way to it.
    """

    bonus: float
    name: str = "warp"

    def start(self, state: GameState) -> Memory:
        return _stage_number(state), state.flag_get & False

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        stage, flag_seen = memory
        now = _stage_number(state)
        left = now != stage
        # The frame that reaches the flag is still one of its stage.
        seen = state.flag_get | (flag_seen & (left == 0))
        return self.bonus * ((left & (flag_seen == 0)) * 1), (now, seen)


def _stage_number(state: GameState) -> Number:
    return state.world * 256 + state.stage  # each is less than 257


@dataclass(frozen=True)
class Score(BuiltInTerm):
    """``weight`` hundredths of the points scored in the frame (9.x)."""

    name: str = "score"
    weight: float = 1

    def start(self, state: GameState) -> Memory:
        return (state.score,)

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        gained = state.score - memory[0]
        return self.weight * (gained * (gained > 0) / 100), (state.score,)


@dataclass(frozen=True)
class Coins(BuiltInTerm):
    """Five times ``weight`` for each coin (9.x); the counter turns over from 99 to 0."""

    name: str = "coins"
    weight: float = 1

    def start(self, state: GameState) -> Memory:
        return (state.coins,)

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        gained = state.coins - memory[0]
        gained = gained + 100 * (gained < -50)
        return self.weight * (5 * gained * (gained > 0)), (state.coins,)


@dataclass(frozen=True)
class PowerUp(BuiltInTerm):
    """Five times ``weight`` for growing a step, as much less for shrinking one (9.x)."""

    name: str = "powerup"
    weight: float = 1

    def start(self, state: GameState) -> Memory:
        return (_powerup_level(state),)

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        level = _powerup_level(state)
        return self.weight * (5 * (level - memory[0])), (level,)


@dataclass(frozen=True)
class Stall(BuiltInTerm):
    """``penalty`` in the step in which :class:`~mario_envkit.wrappers.StallLimit` ends an episode.

    That wrapper, or the vector, pays it, beside the clip: a single frame knows nothing of it.
    Learners of ours take such a stall for a loss, as a death is one: nothing is expected after it.
    """

    penalty: float = -50
    name: str = "stall"

    def start(self, state: GameState) -> Memory:
        return ()

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        return 0, ()


def _powerup_level(state: GameState) -> Number:
    return state.powerup - (state.powerup - 2) * (state.powerup > 2)  # min(powerup, 2)


@dataclass(frozen=True)
class RewardFunction:
    """A sum of terms, scaled, then clipped.

    Compose your own: ``RewardFunction((Progress(), Death(-50), Flag(50)), scale=0.1)``; anything
    with the interface of :class:`RewardTerm` is a term.

    Attributes:
        terms: what is added up.
        scale: the sum is multiplied by it.
        clip: ``(low, high)`` of the result, finite; None leaves it alone.
        types: of the terms, as "module:name", so that ``dataclasses.asdict`` (which Gymnasium
            writes specifications with) tells them apart: all ids take such a dictionary as well.

    Raises:
        OptionError: for values that make no sense.
    """

    terms: tuple[RewardTerm, ...]
    scale: float = 1.0
    clip: tuple[float, float] | None = None
    types: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expected = "a list of terms such as (Progress(), Death(-50))"
        terms = as_sequence("terms", self.terms, expected)
        if not all(map(_is_term, terms)):
            raise not_possible("terms", self.terms, expected)
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "scale", as_number("scale", self.scale))
        object.__setattr__(self, "clip", _plain_clip(self.clip))
        types = tuple(f"{type(term).__module__}:{type(term).__qualname__}" for term in terms)
        object.__setattr__(self, "types", types)
        names = [term.name for term in terms]
        if not names or len(set(names)) < len(names):
            raise OptionError(
                f"A reward needs terms with different names and got {names}; name each term apart."
            )

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The terms that a stall limit pays, each ``scale * penalty``."""
        return tuple(term for term in self.terms if isinstance(term, Stall))

    def start(self, state: GameState) -> tuple[Memory, ...]:
        """What all terms remember when an episode begins in ``state``."""
        return tuple(term.start(state) for term in self.terms)

    def __call__(
        self, memory: tuple[Memory, ...], state: GameState
    ) -> tuple[Number, dict[str, Number], tuple[Memory, ...]]:
        """The reward of a frame.

        Returns:
            ``(reward, parts, memory)``: scaled and clipped; each term's share before both, by
            name; and what to pass in with the next frame.
        """
        parts: dict[str, Number] = {}
        remembered = []
        total: Number = 0  # not sum(): from Python 3.12 on it rounds floats differently
        for term, before in zip(self.terms, memory, strict=True):
            part, after = term(before, state)
            parts[term.name] = part
            total = total + part
            remembered.append(after)
        total = total * self.scale
        if self.clip is not None:
            low, high = self.clip
            if not isinstance(total, np.ndarray) and low <= total <= high:
                total = total + 0  # never a negative zero, as below
            else:
                total = total + (low - total) * (total < low) + (high - total) * (total > high)
        return total, parts, tuple(remembered)


def _is_term(term: Any) -> bool:
    has_name = isinstance(getattr(term, "name", None), str)
    return has_name and callable(getattr(term, "start", None)) and callable(term)


def _plain_clip(clip: Any) -> tuple[float, float] | None:
    if clip is None:
        return None
    expected = "(low, high), or None"
    limits = as_sequence("clip", clip, expected)
    if len(limits) != 2:
        raise not_possible("clip", clip, expected)
    low, high = (as_number("clip", limit) for limit in limits)
    if low > high:
        raise not_possible("clip", clip, expected)
    return low, high


V7 = RewardFunction((Distance(), Clock(), Death()), clip=(-15, 15))
"""gym-super-mario-bros 7.4."""

V9 = RewardFunction(
    (Progress(), Clock("time"), Score(), Coins(), PowerUp(), Flag(name="completion", once=True),
     Death()),
    clip=(-15, 15),
)  # fmt: skip
"""gym-super-mario-bros 9.x."""

PROGRESS = RewardFunction((Progress(per_area=True), Flag(50), Death(-50)), scale=0.1)
"""Made for learning: only new best x pays, flag and death weigh 50 pixels; all divided by 10."""

REWARDS: dict[str, RewardFunction] = {"v7": V7, "v9": V9, "progress": PROGRESS}
