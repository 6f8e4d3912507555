"""Optuna, which does the search: its storage, samplers and pruners.

Whether the command that runs a trial lives is not asked of Optuna's heartbeat: that is for its own
loop only (``Study.optimize``), takes a dead trial for a living one until a grace period is over,
and a living one for dead after the computer was suspended. Locks, which the system drops with the
process that holds them, know it at once; see :mod:`mario_agents.sweep.trials`.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mario_agents.sweep.objective import SLOTS
from mario_agents.sweep.plan import Pruner, Sampler
from mario_envkit.errors import OptionError, RunError
from mario_envkit.files import locked

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

STUDY = "sweep"
LOCK_SECONDS = 60.0
"""How long to wait for another command that writes."""
WARMUP_SLOTS = SLOTS // 4
"""Nothing is pruned before so much of the budget is used up."""
NEEDED: dict[Sampler, tuple[str, ...]] = {"gp": ("scipy", "torch"), "cmaes": ("cmaes",),
                                          "qmc": ("scipy",)}  # fmt: skip
"""Packages that samplers need beside Optuna."""


def require_optuna() -> None:
    """Find out early whether Optuna is installed.

    Raises:
        OptionError: if it is not.
    """
    if not _installed("optuna"):
        raise OptionError(
            "mario-agents sweep needs the package optuna: pip install 'mario-envkit[sweep]'."
        )


def require_sampler(name: Sampler) -> None:
    """Find out early whether what a sampler needs is installed.

    Raises:
        OptionError: if it is not.
    """
    missing = [package for package in NEEDED.get(name, ()) if not _installed(package)]
    if missing:
        raise OptionError(
            f"--sampler {name} needs {' and '.join(missing)}: pip install {' '.join(missing)}, or "
            "leave it out."
        )


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """What goes wrong with the storage within becomes a sentence.

    Raises:
        RunError: then.
    """
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OptunaError) as error:
        cause = error.__cause__ or error
        reason = " ".join(str(getattr(cause, "orig", None) or cause).split())
        raise RunError(
            f"The trials in {path} cannot be read or written: {reason.rstrip('.')}; free some "
            "space, or bring back a copy of the file, then go on."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna calls some of what is used here experimental, on the standard error stream."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def open_study(storage: Path) -> Study:
    """The study in this file, which is made if there is none.

    Raises:
        RunError: if it cannot be read or written.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(storage, timeout=LOCK_SECONDS, check_same_thread=False)

    # Two commands that begin at once must not both make its tables.
    with storage_errors(storage), locked(storage):
        # The file by a function: in a URL, some characters of paths would mean something else.
        url = "sqlite:///file"
        database = optuna.storages.RDBStorage(url, engine_kwargs={"creator": connect})
        return optuna.create_study(
            storage=database, study_name=STUDY, direction="maximize", load_if_exists=True
        )


def make_sampler(name: Sampler, *, seed: int, startup: int) -> BaseSampler:
    """What chooses the options of a trial.

    Args:
        name: of the sampler.
        seed: another one for each trial, or it would draw the same again.
        startup: how many trials it draws at random before it has a model.
    """
    from optuna import samplers

    with quiet():
        match name:
            case "tpe":
                return samplers.TPESampler(
                    seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True
                )
            case "gp":
                return samplers.GPSampler(seed=seed, n_startup_trials=startup)
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed, n_startup_trials=startup)
            case "qmc":
                return samplers.QMCSampler(seed=0, scramble=True)  # its sequence is in the storage
            case "random":
                return samplers.RandomSampler(seed=seed)


def make_pruner(name: Pruner, *, startup: int) -> BasePruner:
    """What gives up trials that fall behind.

    Args:
        name: of the pruner.
        startup: how many whole trials there are before it begins.
    """
    from optuna import pruners

    match name:
        case "median":
            return pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=WARMUP_SLOTS)
        case "hyperband":
            return pruners.HyperbandPruner(min_resource=WARMUP_SLOTS, max_resource=SLOTS)
        case "none":
            return pruners.NopPruner()


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # imports of it are blocked
        return False
