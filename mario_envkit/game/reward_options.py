"""What the arguments ``reward`` and ``reward_weights`` mean.

Weights are numbers by the names of terms, ``{"death": 25, "progress": 0.25}``, in the units
of the reward that the agent gets, after its scale:

* of a term that pays for how much of something there was (distance, progress, path, clock, score,
  coins, powerup) it is a factor: with ``progress=0.25`` new ground pays a quarter of what the
  reward pays for it by itself, ``progress=1`` changes nothing;
* of a term that pays for an event it is what the event pays (flag, warp) or costs (death, stall):
  with ``death=25`` a death costs 25.

A term that the reward does not have is added to it, a stall for instance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import reduce
from importlib import import_module
from typing import Any

from mario_envkit.arguments import as_choice, as_float, most_similar, not_possible, shown
from mario_envkit.errors import OptionError
from mario_envkit.game.path_progress import PathProgress
from mario_envkit.game.rewards import (
    REWARDS,
    Clock,
    Coins,
    Death,
    Distance,
    Flag,
    PowerUp,
    Progress,
    RewardFunction,
    RewardTerm,
    Score,
    Stall,
    Warp,
)

_NEW: tuple[Any, ...] = (
    Distance(), Progress(), Clock(), Death(), Flag(), Score(), Coins(), PowerUp(), Stall(), Warp(0),
    PathProgress(),
)  # fmt: skip
"""What can be added."""
_EVENTS: dict[type, tuple[str, int]] = {
    Death: ("penalty", -1),
    Stall: ("penalty", -1),
    Flag: ("bonus", 1),
    Warp: ("bonus", 1),
}
"""Terms that pay for events: where the amount is, and its sign."""


def terms_by_name(function: RewardFunction) -> dict[str, RewardTerm]:
    """Terms that can have a weight: those of ours in a reward, then those that can be added."""
    ours = {type(term) for term in _NEW}
    there = {term.name: term for term in function.terms if type(term) in ours}
    kinds = {type(term) for term in there.values()}
    added = {term.name: term for term in _NEW if type(term) not in kinds}
    taken = {term.name for term in function.terms}
    return {**there, **{name: term for name, term in added.items() if name not in taken}}


def weights_of(function: RewardFunction) -> dict[str, float]:
    """The weights that the terms of a reward have by themselves; only of those that can be set."""
    found: dict[str, float] = {}
    for name in terms_by_name(function):
        term: Any = next((each for each in function.terms if each.name == name), None)
        if term is None:
            continue
        if type(term) in _EVENTS:
            amount, sign = _EVENTS[type(term)]
            found[name] = sign * getattr(term, amount) * function.scale
        else:
            found[name] = term.weight
    return found


def weighted(reward: Any, weights: Any) -> RewardFunction:
    """A reward with other weights.

    Args:
        reward: as :func:`resolve_reward` takes it.
        weights: numbers from 0 by the names of terms; those left out stay as they are. None or
            an empty dict changes nothing.

    Raises:
        OptionError: for names that there are not, weights that are not possible, and what is no
            reward.
    """
    name, function = "reward_weights", resolve_reward(reward)
    if weights is None:
        return function
    if not isinstance(weights, Mapping):
        raise not_possible(name, weights, 'a dict such as {"death": 25, "progress": 0.25}, or None')
    if not weights:
        return function
    if not function.scale:
        raise OptionError(f"{name} need a reward that pays anything; its scale is 0.")
    known = terms_by_name(function)
    terms = {term.name: term for term in function.terms}
    for key, value in weights.items():
        if not isinstance(key, str) or key not in known:
            raise OptionError(_unknown(key, function, known))
        amount = as_float(f"{name}[{key!r}]", value, least=0)
        terms[key] = _with_weight(known[key], amount, function.scale)
    return dataclasses.replace(function, terms=tuple(terms.values()))


def reweighted(function: RewardFunction, weights: Any) -> RewardFunction:
    """A reward with other weights of the terms that it has: what its terms remember stays.

    Raises:
        OptionError: as :func:`weighted`, and for terms that the reward does not have.
    """
    changed = weighted(function, weights)
    if len(changed.terms) != len(function.terms):
        has = [term.name for term in function.terms]
        added = ", ".join(term.name for term in changed.terms if term.name not in has)
        raise OptionError(
            f"reward_weights: a game that is made cannot get {added}, as its reward has only "
            f"{', '.join(has)}; give reward_weights where it is made, with 0 for what comes later."
        )
    return changed


def _with_weight(term: Any, weight: float, scale: float) -> RewardTerm:
    if type(term) in _EVENTS:
        amount, sign = _EVENTS[type(term)]
        changed: RewardTerm = dataclasses.replace(term, **{amount: sign * weight / scale})
        return changed
    return dataclasses.replace(term, weight=weight)  # type: ignore[no-any-return]


def _unknown(name: Any, function: RewardFunction, known: Mapping[str, Any]) -> str:
    close = most_similar(name, known)
    hint = f"did you mean {close!r}? This" if close else "this"
    own = {term.name for term in function.terms}
    has = ", ".join(each for each in known if each in own) or "none"
    others = ", ".join(each for each in known if each not in own) or "none"
    return (
        f"reward_weights: there is no term {shown(name)}; {hint} reward has {has}, and "
        f"{others} can be added."
    )


def resolve_reward(
    reward: str | RewardFunction | Mapping[str, Any] | Callable[..., Any],
) -> RewardFunction:
    """A reward by name ("v7", "v9", "progress"), as it is, or of ``dataclasses.asdict(reward)``.

    Raises:
        OptionError: for an unknown name, or an object that is no reward.
    """
    if isinstance(reward, RewardFunction):
        return reward
    if isinstance(reward, str):
        return REWARDS[as_choice("reward", reward, REWARDS)]
    if isinstance(reward, Mapping):
        return _from_dict(reward)
    raise OptionError(
        f"reward={shown(reward)} does not exist; choose one of {', '.join(REWARDS)}, or compose a "
        "mario_envkit.game.rewards.RewardFunction."
    )


def _from_dict(written: Mapping[str, Any]) -> RewardFunction:
    try:
        pairs = zip(written["types"], written["terms"], strict=True)
        terms = tuple(_term_type(name)(**values) for name, values in pairs)
        clip = written["clip"]
        return RewardFunction(terms, written["scale"], None if clip is None else tuple(clip))
    except (ImportError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise OptionError(
            f"reward={dict(written)!r} is not what dataclasses.asdict() makes of a RewardFunction "
            f"({type(error).__name__}: {error}); give the RewardFunction itself."
        ) from error


def _term_type(name: str) -> Any:
    module, _, qualname = name.partition(":")
    found = reduce(getattr, qualname.split("."), import_module(module))
    if not dataclasses.is_dataclass(found):
        raise TypeError(f"{name} is not a dataclass")
    return found
