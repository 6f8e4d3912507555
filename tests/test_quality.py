"""Style, types and the direction of imports, checked like everything else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PLATFORMS = ["--config-file", "tests/mypy-platforms.toml"]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        pytest.param(["mypy"], marks=pytest.mark.slow),
        *(
            pytest.param(["mypy", *PLATFORMS, "--platform", system], marks=pytest.mark.slow)
            for system in ("win32", "darwin")
        ),
        ["lint-imports", "--no-cache"],
    ],
    ids=" ".join,
)
def test_clean(command):
    module = {"lint-imports": "importlinter.cli"}.get(command[0], command[0])
    if importlib.util.find_spec(module.split(".")[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    if command[0] == "mypy" and sys.version_info[:2] != (3, 11):
        pytest.skip("types are checked on Python 3.11, with the versions that CI installs there")
    program = Path(sys.executable).with_name(command[0])
    result = subprocess.run(
        [str(program), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


BUILD = """
import sys
from scikit_build_core.build import build_sdist, build_wheel
build_wheel(sys.argv[1], {"wheel.cmake": "false", "build-dir": sys.argv[1] + "/build"})
build_sdist(sys.argv[1])
"""
"""Without compiling: only which files there are is of interest."""


def build(source: Path, folder: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of a source tree, in a new folder."""
    folder.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=source, check=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


MADE = {"__pycache__", ".mypy_cache", ".ruff_cache"}


@pytest.mark.slow
def test_every_file_of_the_packages_is_passed_on(tmp_path):
    """Style sheets, templates and presets are as easily forgotten as they are missed."""
    pytest.importorskip("scikit_build_core")
    wheel, sdist = build(ROOT, tmp_path / "built")
    files = {
        path.relative_to(ROOT).as_posix()
        for package in ("mario_envkit", "mario_agents")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not MADE & set(path.parts) and path.suffix not in (".so", ".pyd")
    }
    sources = {name for name in files if name.startswith("mario_envkit/native/")}
    assert {".j2", ".css", ".tcss", ".yaml", ".cpp", ".hpp"} <= {Path(f).suffix for f in files}
    assert files - sources <= names(wheel)
    with tarfile.open(sdist) as archive:
        assert files <= {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    again, _ = build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "again")
    assert names(again) == names(wheel)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{citation["version"]}"\n' in project
