"""Which tests a run consists of, and how property tests behave on machines that are slow and busy.

``pytest`` runs all that are not marked ``slow``, ``pytest --slow`` the others. Whoever names a file
or a test gets everything in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from mario_envkit.curriculum.runs import Run

# No example is too slow: how long one takes says more about the machine than about the code. With
# CI=true, Hypothesis does the same by itself, and draws the same examples every time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if settings.default is not None and settings.default.deadline is not None:
    settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--slow", dest="part", action="store_const", const="slow",
        help="run the tests marked slow, and only those",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if config.option.part is None:  # the processes of pytest-xdist get what is set here
        named = config.args_source is pytest.Config.ArgsSource.ARGS
        config.option.part = "all" if named else "fast"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.part == "all":
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = [item for item in items if not item.get_closest_marker("slow")]
    items[:], others = (slow, fast) if config.option.part == "slow" else (fast, slow)
    config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="session", autouse=True)
def _logs_of_sb3(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Stable-Baselines3 leaves a folder for each model that learns, by default where it stays."""
    os.environ["SB3_LOGDIR"] = str(tmp_path_factory.mktemp("sb3"))


@pytest.fixture(scope="session")
def way() -> Run:
    """A way through 1-1, which takes half a second to find."""
    from mario_envkit.curriculum.search import solve
    from mario_envkit.emulator import native

    if not native.is_available():
        pytest.skip("the native core is not built here")
    return solve("1-1", seed=0)[0]
