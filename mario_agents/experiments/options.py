"""The options of a run, of what a person says for all runs together."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mario_agents.config import absolute_paths, make_config, parse_value, to_plain
from mario_agents.experiments.cell import Budget
from mario_agents.presets import Preset
from mario_envkit.errors import OptionError
from mario_envkit.plugins import load_trainer

PER_RUN = frozenset({"seed", "max_minutes", "total_steps", "ui"})
"""Options that are decided run by run, and not by whoever names options of all of them."""


def run_options(
    preset: Preset,
    chosen: Mapping[str, Any],
    budget: Budget,
    *,
    seed: int,
    threads: int | None,
    source: str,
) -> dict[str, Any]:
    """All options of a run, checked by its trainer, as plain values.

    Args:
        preset: what holds where nothing else is said.
        chosen: what wins over it.
        budget: of the run.
        seed: of the run.
        threads: cores that it may use, if it is not to use all.
        source: where the options come from, for the error message.

    Raises:
        ConfigError: if one is not valid, or they do not go together.
    """
    config_class = load_trainer(preset.trainer).config_class
    options = {**preset.options, **chosen, "seed": seed}
    if "ui" in {field.name for field in dataclasses.fields(config_class)}:
        options["ui"] = False
    if budget.minutes is not None:
        options["max_minutes"] = budget.minutes
    if budget.steps is not None:
        options["total_steps"] = budget.steps
    plain = to_plain(absolute_paths(make_config(config_class, options, source=source)))
    if threads is not None and "torch_threads" in plain:
        plain["torch_threads"] = min(plain["torch_threads"], threads)
    return plain


def parse_overrides(words: Sequence[str], own: Collection[str], instead: str) -> dict[str, Any]:
    """Options from words such as ``gamma=0.95``.

    Args:
        words: those of ``--set``.
        own: options that are given in another way.
        instead: which way, for the error message.

    Raises:
        OptionError: if a word is none, or is about one of ``own``.
        ConfigError: if a value cannot be read.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, value = split_word(word, f"--set takes words such as gamma=0.95, not {word!r}.")
        if name in own:
            raise OptionError(f"--set {word}: {instead}")
        if name in options:
            raise OptionError(f"--set has {name} twice.")
        options[name] = parse_value(value)
    return options


def split_word(word: str, wrong: str) -> tuple[str, str]:
    """Name and text of ``name=text``; hyphens of the name are underscores.

    Raises:
        OptionError: with the sentence ``wrong``, if it is no such word.
    """
    name, equals, text = word.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        raise OptionError(wrong)
    return name, text
