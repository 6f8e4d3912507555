"""Finding trainers by entry points."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from mario_envkit import plugins
from mario_envkit.errors import TrainerError


class Toy:
    config_class = dict
    summary = "does nothing"

    def train(self, config, run_path, *, resume): ...
    def env_kwargs(self, config): ...
    def load_policy(self, config, run_path, *, device, weights): ...


TOY = Toy()
NOT_A_TRAINER = object()


@pytest.fixture
def installed(monkeypatch):
    """Lets a test say which entry points are installed."""

    def install(**targets):
        entries = [EntryPoint(n, v, plugins.GROUP) for n, vs in targets.items() for v in vs.split()]
        monkeypatch.setattr(
            plugins,
            "entry_points",
            lambda group, name=None: [e for e in entries if name in (None, e.name)],
        )

    return install


def test_trainers_are_listed_without_importing_them(installed):
    installed(toy=f"{__name__}:TOY", broken="no_such_module:X")
    assert [entry.name for entry in plugins.available_trainers()] == ["broken", "toy"]


def test_a_trainer_is_loaded_by_name(installed):
    installed(toy=f"{__name__}:TOY")
    assert plugins.load_trainer("toy") is TOY


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toyy", "no trainer named 'toyy'; the installed ones are: .*Did you mean 'toy'"),
        ("broken", "cannot be imported: No module named 'no_such_module'"),
        ("missing", "cannot be imported: .* entry point must name the module"),
        ("wrong", "is not a trainer: it must offer config_class"),
        ("twice", "More than one distribution"),
    ],
)
def test_trainers_that_cannot_be_loaded(installed, name, message):
    installed(
        toy=f"{__name__}:TOY",
        broken="no_such_module:X",
        missing=f"{__name__}:NOBODY",
        wrong=f"{__name__}:NOT_A_TRAINER",
        twice="a:X b:Y",
    )
    with pytest.raises(TrainerError, match=message):
        plugins.load_trainer(name)


def test_the_kit_imports_neither_torch_nor_gym():
    heavy = ("torch", "gym", "cv2", "pygame")
    code = f"import sys, mario_envkit; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    assert not result.stderr
