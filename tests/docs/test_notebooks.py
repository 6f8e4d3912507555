"""Notebooks: each pair is in step, holds no outputs, and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mario_envkit.emulator import native

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
SCRIPTS = sorted(FOLDER.glob("*.py"))

each = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def stored(script: Path) -> Any:
    """The notebook beside a script, as it is in its file."""
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))


def test_every_script_has_a_notebook_and_every_notebook_a_script() -> None:
    assert len(SCRIPTS) >= 4
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {path.stem for path in SCRIPTS}
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.stem}.ipynb)" in index for path in SCRIPTS)


@each
def test_nothing_is_stored_but_text_and_code(script: Path) -> None:
    for cell in stored(script)["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not cell.get("attachments")
        assert "base64" not in "".join(cell["source"])


@each
def test_the_pair_is_in_step(script: Path) -> None:
    jupytext = pytest.importorskip("jupytext", reason="needs the extra notebooks")
    made = jupytext.read(script).cells
    there = stored(script)["cells"]
    assert [(cell.cell_type, cell.source) for cell in made] == [
        (cell["cell_type"], "".join(cell["source"])) for cell in there
    ], f"Run: jupytext --sync examples/notebooks/{script.name}"


@each
def test_the_first_cell_installs_on_colab_alone(script: Path) -> None:
    first = next(cell for cell in stored(script)["cells"] if cell["cell_type"] == "code")
    text = "".join(first["source"])
    assert 'if "google.colab" in sys.modules:' in text
    assert "mario-envkit[agents] @ git+REPOSITORY" in text


@pytest.mark.slow
@pytest.mark.skipif(not native.is_available(), reason="needs the native core")
@each
def test_it_runs(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel", reason="needs the extra notebooks")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra notebooks")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra notebooks")
    monkeypatch.setenv("MARIO_NOTEBOOK_QUICK", "1")
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    shown = [output for cell in code for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
