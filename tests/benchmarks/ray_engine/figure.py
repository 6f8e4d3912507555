"""Speed and the learner's share of busy time, over the number of workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from mario_envkit.files import replace_file
from tests.benchmarks.ray_engine.model import Simulated


def draw(curves: Mapping[str, Mapping[int, Simulated]], path: Path) -> None:
    """Draw curves by trainer, each of what was simulated by the number of workers."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasSVG(figure)
    speed, learner = figure.subplots(1, 2)
    for trainer, curve in curves.items():
        counts = list(curve)
        alone = curve[1].packets
        speed.plot(counts, [found.packets / alone for found in curve.values()], label=trainer)
        learner.plot(counts, [found.learner for found in curve.values()], label=trainer)
    counts = sorted({count for curve in curves.values() for count in curve})
    speed.plot(counts, counts, color="grey", linestyle=":", linewidth=1, label="linear")
    speed.set(xscale="log", yscale="log", ylabel="speed, as a multiple of one worker")
    learner.set(xscale="log", ylim=(0, 1.05), ylabel="learner busy, share of the time")
    for axes in (speed, learner):
        axes.set(xlabel="workers", xticks=counts[::2], xticklabels=map(str, counts[::2]))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    speed.legend(fontsize="small")
    replace_file(path, lambda temporary: figure.savefig(temporary, format="svg",
                                                        metadata={"Date": None}))  # fmt: skip
