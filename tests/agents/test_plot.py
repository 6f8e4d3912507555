"""Curves for papers: which runs belong together, and what is drawn of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mario_agents.report.plot import draw_curves, grouped
from mario_agents.report.rundata import RunData
from mario_agents.report.tables import Curve, mean_and_spread
from tests.agents.run_files import write_run


def line(*points: tuple[float, float]) -> Curve:
    steps, values = np.array(points, dtype=float).T
    return Curve(steps, values)


def test_mean_and_spread_of_lines_are_lines() -> None:
    found = mean_and_spread([line((0, 0), (100, 100)), line((50, 52), (150, 152))], points=3)
    assert found["steps"].tolist() == [50, 75, 100]
    np.testing.assert_allclose(found["mean"], [51, 76, 101])
    np.testing.assert_allclose(found["high"] - found["mean"], np.sqrt(2))
    np.testing.assert_allclose(found["mean"] - found["low"], np.sqrt(2))


def test_one_run_has_no_spread_and_strangers_no_mean() -> None:
    found = mean_and_spread([line((0, 1), (10, 3))], points=2)
    assert found["low"].tolist() == found["high"].tolist() == [1, 3]
    with pytest.raises(ValueError, match="no steps in common"):
        mean_and_spread([line((0, 1), (10, 3)), line((20, 1), (30, 3))])


def test_seeds_belong_together_and_are_named_after_what_differs(tmp_path) -> None:
    paths = [write_run(tmp_path / f"run{seed}", seed=seed, video=False).path for seed in range(4)]
    config = json.loads((paths[3] / "config.json").read_text())
    config["config"]["level"] = "1-2"
    (paths[3] / "config.json").write_text(json.dumps(config))
    groups = grouped([RunData.load(path) for path in paths])
    assert [(group.name, len(group.runs)) for group in groups] == [
        ("level 1-1", 3),
        ("level 1-2", 1),
    ]
    config["config"] |= {"frame_stack": 5, "num_envs": 2, "reward": "v7"}
    for path, seed in zip(paths[2:], (0, 1), strict=True):
        config["config"]["seed"] = seed
        (path / "config.json").write_text(json.dumps(config))
        path.rename(path.with_name(f"hard-seed-{seed}"))
    hard = [tmp_path / "hard-seed-0", tmp_path / "hard-seed-1"]
    groups = grouped([RunData.load(path) for path in (*paths[:2], *hard)])
    assert [group.name for group in groups] == ["run", "hard"]  # they differ in too much to say
    (paths[0] / "config.json").unlink()
    groups = grouped([RunData.load(path) for path in paths[:2]])
    assert [group.name for group in groups] == ["run0", "run1"]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_figures_are_files_of_their_kind(tmp_path, suffix) -> None:
    runs = [RunData.load(write_run(tmp_path / str(s), seed=s, video=False).path) for s in (0, 9)]
    out = tmp_path / f"curve{suffix}"
    draw_curves(runs, ["return", "success"], out)
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    assert out.read_bytes().startswith(start)
