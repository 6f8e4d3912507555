"""The experiments of the guide run, and its pages show code that exists."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mario_envkit.emulator import native
from tests.docs.options import hook

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples" / "guide").glob("[0-9]*.py"))
PAGES = sorted((ROOT / "docs" / "pages" / "learn").glob("*.md"))
CHAPTERS = [page for page in PAGES if page.name[0].isdigit()]

needs_native = pytest.mark.skipif(not native.is_available(), reason="needs the native core")


@pytest.fixture
def excerpts() -> Any:
    """The hook that puts code into pages."""
    return hook("excerpts")


def run(script: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """As ``python SCRIPT ARGUMENTS``, in this process, which has imported torch already."""
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    monkeypatch.syspath_prepend(str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


@needs_native
@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_experiments_make_their_plots(
    script: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    run(script, monkeypatch, "--quick", "--out", "plot.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.svg"]
    assert "<svg" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_explains_and_writes_nothing(
    script: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run(script, monkeypatch, "--help")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    explained = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    assert explained is not None
    assert explained.splitlines()[0] in said
    assert "--quick" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_experiments_are_short(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_an_experiment_and_shows_its_plot(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    script = page.stem.replace("-", "_") + ".py"
    assert f"python examples/guide/{script}\n" in text
    assert (ROOT / "examples" / "guide" / script).exists()
    plots = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert plots
    for plot in plots:
        assert (page.parent / plot).stat().st_size < 60_000
    assert '??? question "' in text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_code_in_the_text_is_that_of_the_sources(page: Path, excerpts: Any) -> None:
    text = page.read_text(encoding="utf-8")
    found = excerpts.BLOCK.findall(text)
    assert len(found) == text.count("```source")
    shown = excerpts.on_page_markdown(text)
    for file, name in found:
        source = (ROOT / file).read_text(encoding="utf-8")
        block = excerpts.excerpt(file, name)
        definition = ast.parse(block).body[0]
        assert isinstance(definition, ast.FunctionDef | ast.ClassDef)
        assert definition.name == name.rpartition(".")[2]
        assert '"""' not in block
        assert all(line.strip() in source for line in block.splitlines())
        assert block in shown


def test_an_excerpt_of_nothing_says_so(excerpts: Any) -> None:
    with pytest.raises(ValueError, match=r"gae\.py has no egae: correct the block"):
        excerpts.excerpt("mario_agents/ops/gae.py", "egae")


@pytest.mark.slow
def test_repetitions_in_two_processes_come_in_order(tmp_path: Path) -> None:
    """With ``--quick`` there is one seed, and so no other process."""
    script = tmp_path / "sums.py"
    script.write_text(
        "import os, common\n"
        "def run(seed, first, second):\n"
        "    return seed + first + second, os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    found = dict(common.repeat(run, [1, 2, 3], {'a': (10, 100), 'b': (20, 200)}))\n"
        "    print({name: [each[0] for each in runs] for name, runs in found.items()})\n"
        "    print(os.getpid() in {each[1] for runs in found.values() for each in runs})\n",
        encoding="utf-8",
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "examples" / "guide")}
    done = subprocess.run(
        [sys.executable, script], env=env, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "{'a': [111, 112, 113], 'b': [221, 222, 223]}\nFalse\n"
