"""Optuna's own figures: how the search went on, which options mattered, what each was like."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mario_agents.report.panel import save_figure
from mario_agents.sweep.optuna_study import quiet

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna import Study

FORMATS = ("svg", "png")
FEWEST = 2
"""Finished trials without which there is nothing to draw."""


@dataclass(frozen=True)
class Drawn:
    """A figure, as files and for the page."""

    name: str
    title: str
    description: str
    svg: Path

    @property
    def url(self) -> str:
        """All of it, for ``src``."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.read_bytes()).decode()


def importances_of(study: Study) -> dict[str, float]:
    """How much each option mattered, together 1: PED-ANOVA (Watanabe et al., 2023), which says what
    sets the best tenth of the finished trials apart. Empty if there are too few."""
    from optuna.importance import get_param_importances
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(finished) < FEWEST:
        return {}
    with _plotting(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials
        found = get_param_importances(study, evaluator=_evaluator())
    return {name: float(value) for name, value in found.items()}


def draw_sweep(study: Study, importances: Mapping[str, float], folder: Path) -> list[Drawn]:
    """Draw ``history``, ``importances`` and ``slices`` as SVG and PNG.

    Args:
        study: Optuna's.
        importances: as of :func:`importances_of`; without any nothing is drawn.
        folder: where to.

    Raises:
        OptionError: if they cannot be written.
    """
    if not importances:
        return []
    from optuna.visualization import matplotlib as plots

    parts = ", ".join(f"{name} {value:.0%}" for name, value in importances.items())
    wanted: list[tuple[str, str, str, Callable[[], Any]]] = [
        (
            "history",
            "How the search went on",
            f"The objective of each trial, and the best so far, which is {study.best_value:.3f}.",
            lambda: plots.plot_optimization_history(study, target_name="objective"),
        ),
        (
            "importances",
            "How much each option mattered",
            f"Shares of what sets the best trials apart: {parts}.",
            lambda: plots.plot_param_importances(
                study, evaluator=_evaluator(), target_name="objective"
            ),
        ),
        (
            "slices",
            "The objective over each option",
            "A point for each finished trial; later ones are darker.",
            lambda: plots.plot_slice(study, target_name="objective"),
        ),
    ]
    return [_draw(folder, *one) for one in wanted]


def _draw(folder: Path, name: str, title: str, description: str, plot: Callable[[], Any]) -> Drawn:
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    with _plotting():
        figure: Figure = np.ravel(plot())[0].figure
        for panel in figure.axes:  # on short logarithmic axes their numbers overlap
            panel.xaxis.set_minor_formatter(NullFormatter())
        try:
            for form in FORMATS:
                save_figure(figure, folder / f"{name}.{form}")
        finally:
            pyplot.close(figure)
    return Drawn(name, title, description, folder / f"{name}.svg")


def _evaluator() -> Any:
    """Needs no further package, as Optuna 4's default does."""
    from optuna.importance import PedAnovaImportanceEvaluator

    return PedAnovaImportanceEvaluator()


@contextmanager
def _plotting() -> Iterator[None]:
    """Optuna draws with pyplot, in a style of its own, and warns of few trials: without a display,
    and with nothing of it left afterwards."""
    import matplotlib
    from matplotlib import pyplot

    backend = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    try:
        with quiet(), matplotlib.rc_context({"savefig.bbox": "tight"}):
            yield
    finally:
        pyplot.switch_backend(backend)
