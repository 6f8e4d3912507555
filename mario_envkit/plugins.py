"""Trainers as plug-ins: whoever registers an entry point can be started by name.

A distribution offers a trainer by an entry point in the group ``mario_envkit.trainers`` that names
an object with the :class:`Trainer` interface::

    [project.entry-points."mario_envkit.trainers"]
    mine = "my_package.trainer:TRAINER"

The registry lives in the kit and imports no torch, so that a trainer written in anything can plug
in. Listing the trainers imports none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mario_envkit.arguments import most_similar
from mario_envkit.errors import TrainerError

GROUP = "mario_envkit.trainers"


class Policy(Protocol):
    """An agent that plays a batch of games: what ``eval``, ``watch`` and ``record`` need."""

    def reset(self, num_envs: int) -> None:
        """Start ``num_envs`` games at once; forgets any recurrent state and reseeds nothing."""

    def act(self, observations: NDArray[Any], *, greedy: bool) -> NDArray[np.int64]:
        """Choose actions.

        Args:
            observations: ``(num_envs, ...)``, as the environment of the run gives them.
            greedy: the best action; otherwise as the agent explores when it is evaluated.

        Returns:
            ``(num_envs,)`` int64 indices into the run's action set.
        """


@runtime_checkable
class Trainer(Protocol):
    """What an entry point resolves to.

    Attributes:
        config_class: a frozen dataclass; command line, YAML and JSON are all read into it. It has
            the fields of the common options (see ``mario_agents.config.TrainConfig``), or is free
            not to when it is not started by ``mario-agents``.
        summary: one sentence for ``mario-agents train --help``.
    """

    config_class: type[Any]
    summary: str

    def train(self, config: Any, run_path: Path, *, resume: bool) -> None:
        """Train in the run directory ``run_path`` until the budget in ``config`` is used up.

        With ``resume`` the directory holds an earlier, interrupted run of this trainer.
        """

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        """Keyword arguments of ``MarioTrain-v0`` under which the policy plays.

        ``id`` among them names another environment; it must take ``noop_max``,
        ``repeat_action_probability`` and ``repeat_frame_probability``, and give ``x_pos``,
        ``level``, ``flag_get``, ``death_cause``, ``ending`` and ``stages_cleared`` in its info.
        """

    def load_policy(
        self, config: Any, run_path: Path, *, device: str, weights: Literal["best", "latest"]
    ) -> Policy:
        """The trained agent of a run.

        ``weights`` says which: the best one that an evaluation during training found, or the
        latest. A trainer that keeps only one has this one for both.
        """


@dataclass(frozen=True, slots=True)
class TrainerEntry:
    """A registered trainer that has not been imported.

    Attributes:
        name: what users type.
        target: ``module:object`` of the entry point.
        distribution: name and version of the distribution that offers it.
    """

    name: str
    target: str
    distribution: str


def _find(name: str | None = None) -> Sequence[EntryPoint]:
    found = entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name)
    return sorted(found, key=lambda entry: entry.name)


def available_trainers() -> list[TrainerEntry]:
    """All registered trainers by name; imports none of them."""
    return [
        TrainerEntry(
            entry.name,
            entry.value,
            f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown",
        )
        for entry in _find()
    ]


def load_trainer(name: str) -> Trainer:
    """Import the trainer registered under ``name``.

    Raises:
        TrainerError: if no trainer has this name (the message lists those there are, and the most
            similar one), if two distributions claim it, or if it cannot be imported.
    """
    found = {entry.value: entry for entry in _find(name)}
    if not found:
        known = [entry.name for entry in _find()]
        close = most_similar(name, known)
        hint = f" Did you mean {close!r}?" if close else ""
        raise TrainerError(
            f"There is no trainer named {name!r}; the installed ones are: "
            f"{', '.join(known) or 'none'}.{hint}"
        )
    if len(found) > 1:
        raise TrainerError(
            f"More than one distribution offers a trainer named {name!r} "
            f"({', '.join(sorted(found))}); uninstall all but one."
        )
    entry = next(iter(found.values()))
    try:
        trainer = entry.load()
    except ImportError as error:
        raise TrainerError(
            f"The trainer {name!r} ({entry.value}) cannot be imported: {error}; "
            "install what it needs (for our own trainers: pip install 'mario-envkit[agents]')."
        ) from error
    except AttributeError as error:
        raise TrainerError(
            f"The trainer {name!r} ({entry.value}) cannot be imported: {error}; its entry point "
            "must name the module, a colon and an object in it: correct it in the package's "
            "pyproject.toml, and install the package again."
        ) from error
    if not isinstance(trainer, Trainer):
        raise TrainerError(
            f"The entry point {name!r} ({entry.value}) is not a trainer: it must offer "
            "config_class, summary, train, env_kwargs and load_policy "
            "(see mario_envkit.plugins.Trainer)."
        )
    return trainer
