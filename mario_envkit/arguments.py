"""What callers pass in, checked and made plain: one sentence for whatever is wrong.

Every function takes the name of an argument and its value, and returns the value as Python's own
type (``np.int64(4)`` becomes ``4``), so that snapshots, specs and pickles hold plain values. A
value that is not possible is an :class:`~mario_envkit.errors.OptionError` which names the argument,
the value and what was expected.
"""

from __future__ import annotations

import difflib
import inspect
import math
import operator
import os
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from mario_envkit.errors import OptionError, UnknownArgument

MOST = 2**31 - 1
"""Of a count that nothing else limits; every array and the native core can hold it."""

MOST_FRAMES = 3600
"""Of frames that one call plays through: a minute of the game."""

MOST_STACKED = 256
"""Observations of a stack."""

_LONGEST_PATH, _LONGEST_NAME = 4096, 255  # bytes, on the usual systems


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlist = self.maxtuple = 8

    def repr_int(self, value: int, level: int) -> str:
        try:
            return super().repr_int(value, level)
        except ValueError:  # Python prints no numbers of thousands of digits
            return f"a number of {value.bit_length()} bits"


_REPR = _Repr()


def shown(value: Any) -> str:
    """``repr(value)`` on one line, shortened, whatever the value is."""
    return " ".join(_REPR.repr(value).split())


def not_possible(name: str, value: Any, expected: str) -> OptionError:
    """The error that says so; ``expected`` goes on after "give"."""
    return OptionError(f"{name}={shown(value)} is not possible; give {expected}.")


def most_similar(name: Any, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` may be a slip of, for errors; None if none is like it."""
    close = difflib.get_close_matches(name, list(known), 1) if isinstance(name, str) else []
    return close[0] if close else None


def plain(value: Any) -> Any:
    """NumPy's scalars and arrays without axes as Python's own; anything else as it is."""
    if (
        isinstance(value, (np.generic, np.ndarray))
        and not value.ndim
        and value.dtype.kind in "biufU"
    ):
        return value.item()
    return value


def whole_number(value: Any) -> int | None:
    """``value`` as an int if it is a single integer: Python's, NumPy's, or an array without axes.

    None for everything else, truth values and arrays of size 1 among it.
    """
    if isinstance(value, int):
        return None if isinstance(value, bool) else int(value)
    if "bool" in str(getattr(value, "dtype", None)) or getattr(value, "ndim", None):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def read_whole_number(text: str) -> int:
    """A whole number as people write it on a command line: "12", "1_000_000" or "1e6".

    Raises:
        ValueError: if it is none, as argparse and tyro expect of such functions.
    """
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(number)


# -- numbers and texts ----------------------------------------------------------------------------


def as_int(name: str, value: Any, *, least: int = 0, most: int = MOST, what: str = "") -> int:
    """A whole number, ``least`` to ``most``, both included; ``what`` it counts is for the error."""
    whole = whole_number(value)
    if whole is None or not least <= whole <= most:
        upper = "or more" if most == MOST else f"to {most}"
        raise not_possible(name, value, f"a whole number, {least} {upper}{what and f' ({what})'}")
    return whole


def as_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    infinite: bool = False,
) -> int | float:
    """A number within limits, an int if it is one; without ``infinite`` it must be finite."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, (int, float, np.floating)):
        raise not_possible(name, value, _range(least, above, most, below))
    try:
        size = float(number)
    except OverflowError:
        size = math.nan
    fits = above < size < below or (infinite and size == math.inf and below == math.inf)
    if not (fits and least <= size <= most) or (math.isinf(size) and not infinite):
        raise not_possible(name, value, _range(least, above, most, below))
    return number if type(number) is int else size


def as_float(name: str, value: Any, **limits: Any) -> float:
    """:func:`as_number` as a float."""
    return float(as_number(name, value, **limits))


def _range(least: float, above: float, most: float, below: float) -> str:
    if least > -math.inf and most < math.inf:
        return f"a number, {least:g} to {most:g}"
    parts = []
    if least > -math.inf:
        parts.append(f"from {least:g}")
    if above > -math.inf:
        parts.append(f"above {above:g}")
    if most < math.inf:
        parts.append(f"up to {most:g}")
    if below < math.inf:
        parts.append(f"below {below:g}")
    return " ".join(["a finite number" if not parts else "a number", *parts])


def as_bool(name: str, value: Any) -> bool:
    """True or False; numbers and texts are neither."""
    flag = plain(value)
    if not isinstance(flag, bool):
        raise not_possible(name, value, "True or False")
    return flag


def as_text(name: str, value: Any, expected: str = "a text") -> str:
    """A text that is not empty."""
    text = plain(value)
    if not isinstance(text, str) or not text:
        raise not_possible(name, value, expected)
    return str(text)


def as_choice(name: str, value: Any, choices: Iterable[str], *, optional: bool = False) -> Any:
    """One of ``choices``, or None if ``optional``."""
    if value is None and optional:
        return None
    known = list(choices)
    text = plain(value)
    if isinstance(text, str) and text in known:
        return known[known.index(text)]
    there = ", ".join([*known, *(["None"] if optional else [])])
    close = most_similar(text, known)
    hint = f"did you mean {close!r}? There are {there}" if close else f"choose one of {there}"
    raise OptionError(f"{name}={shown(value)} does not exist; {hint}.")


# -- paths, sequences, environments ---------------------------------------------------------------


def as_file(name: str, value: Any) -> Path:
    """A path that ends in the name of a file, which need not exist."""
    path = as_path(name, value)
    if not path.name:
        raise not_possible(name, value, "the path of a file")
    return path


def as_path(name: str, value: Any) -> Path:
    """A path of a file or directory, which need not exist."""
    try:
        text = os.fspath(plain(value))
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        raise not_possible(name, value, "a path")
    try:
        parts = [os.fsencode(part) for part in Path(text).parts]
    except UnicodeEncodeError:
        parts = [b"x" * _LONGEST_PATH]
    if len(text) >= _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in parts):
        raise not_possible(name, value, "a path that files of this system can have")
    return Path(text)


def as_sequence(name: str, value: Any, expected: str) -> tuple[Any, ...]:
    """A list, a tuple or an array as a tuple; texts, sets and dicts are none."""
    if isinstance(value, np.ndarray) and value.ndim:
        return tuple(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        return tuple(value)
    raise not_possible(name, value, expected)


def as_env(name: str, value: Any) -> gymnasium.Env[Any, Any]:
    """An environment of Gymnasium."""
    if not isinstance(value, gymnasium.Env):
        raise not_possible(name, value, "an environment of Gymnasium")
    return value


# -- names ----------------------------------------------------------------------------------------


def check_keywords(
    given: Mapping[str, Any], *sources: Callable[..., Any], but: Collection[str] = ()
) -> None:
    """Check the names of keyword arguments that a function passes on to ``sources``.

    Args:
        given: the keyword arguments.
        sources: functions and classes that take them by name.
        but: names that are not the caller's to give.

    Raises:
        UnknownArgument: for a name that none of them has; says which is the most similar one.
    """
    known = [
        name
        for source in sources
        for name, parameter in inspect.signature(source).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and name not in but
    ]
    for name in given:
        if name not in known:
            # TorchRL tries keywords and reads these words in a TypeError.
            raise UnknownArgument(
                f"There is an unexpected keyword argument {name!r}; {_similar(name, known)}"
            )


def as_options(options: Any, known: Sequence[str]) -> dict[str, Any]:
    """The ``options`` of a ``reset``, or of anything that takes a dict of them, as a dict.

    Raises:
        OptionError: if it is no dict, or has a key that is not ``known``.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise not_possible(
            "options", options, f"a dict with {', '.join(map(repr, known))}, or None"
        )
    for key in options:
        if not isinstance(key, str) or key not in known:
            raise OptionError(f"There is no options[{shown(key)}]; {_similar(key, known)}")
    return dict(options)


def as_seed(seed: Any, name: str = "seed") -> int | None:
    """The ``seed`` of a ``reset``: None, or a whole number of any size from 0."""
    if seed is None:
        return None
    whole = whole_number(seed)
    if whole is None or whole < 0:
        raise not_possible(name, seed, "a whole number, 0 or more, or None")
    return whole


def _similar(name: Any, known: Sequence[str]) -> str:
    close = most_similar(name, known)
    return f"did you mean {close!r}?" if close else f"there are {', '.join(sorted(known))}."
