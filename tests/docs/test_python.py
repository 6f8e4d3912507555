"""Every block of Python in the documents runs, page by page; excerpts are as their files."""

from __future__ import annotations

import ast
import importlib
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mario_envkit.emulator import native
from tests.docs.markdown import ROOT, Block, Document, documents

DOCUMENTS = [document for document in documents()
             if any(block.language == "python" for block in document.blocks)]  # fmt: skip
OURS = ("mario_envkit", "mario_agents")


def kind_of(document: Document, block: Block) -> str:
    if block.note("compile only") is not None:
        return "compile"
    if excerpt_of(document, block) is not None:
        return "excerpt"
    return "run"


def excerpt_of(document: Document, block: Block) -> str | None:
    return block.note("excerpt") or document.page_note


def parameters() -> list[Any]:
    """Documents; those whose comment says that they take long are slow."""
    return [
        pytest.param(
            document,
            id=document.name,
            marks=[pytest.mark.slow] if "<!-- slow test -->" in document.text else [],
        )
        for document in DOCUMENTS
    ]


@pytest.mark.parametrize("document", parameters())
def test_blocks_run(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tidy: None
) -> None:
    """In one folder and one namespace, as somebody does who types them one after another."""
    blocks = [block for block in document.blocks
              if block.language == "python" and kind_of(document, block) == "run"]  # fmt: skip
    if not blocks:
        pytest.skip("no block of it is to be run")
    native.require()
    monkeypatch.chdir(tmp_path)
    module = ModuleType("__main__")  # where classes of a page find themselves for pickle
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.syspath_prepend(str(tmp_path))
    for block in blocks:
        code = compile("\n" * (block.line - 1) + block.text, document.name, "exec")
        exec(code, module.__dict__)


@pytest.fixture
def tidy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """No window, one thread for each network, and no id of a page is left registered."""
    import gymnasium
    import torch

    import mario_envkit  # noqa: F401  # whose ids stay

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    ids, threads = dict(gymnasium.registry), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    gymnasium.registry.clear()
    gymnasium.registry.update(ids)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_other_blocks_are_right(document: Document) -> None:
    """What is not run compiles and imports what there is; excerpts are as the files have them."""
    for block in document.blocks:
        if block.language != "python":
            continue
        place = f"{document.name}:{block.line}"
        kind = kind_of(document, block)
        if kind == "compile":
            check_imports(ast.parse(block.text, place))
        elif kind == "excerpt":
            names = (excerpt_of(document, block) or "").replace(",", " ").split()
            texts = [(ROOT / name).read_text(encoding="utf-8") for name in names]
            assert any(is_excerpt(block.text, text) for text in texts), (
                f"{place}: these lines are not in {' or '.join(names)}"
            )


def check_imports(tree: ast.AST) -> None:
    """Modules of ours, and the names that are taken from them, exist."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] in OURS:
                    importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            assert node.module is not None
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module} has no {name.name}"


def is_excerpt(text: str, whole: str) -> bool:
    """Whether lines stand in ``whole`` one after another, at whatever depth; ``...`` is a gap."""
    lines = [line.rstrip() for line in whole.splitlines()]
    at = 0
    for part in _parts(text):
        found = next(
            (start for start in range(at, len(lines) - len(part) + 1)
             if textwrap.dedent("\n".join(lines[start : start + len(part)])).splitlines() == part),
            None,
        )  # fmt: skip
        if found is None:
            return False
        at = found + len(part)
    return True


def _parts(text: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip() in ("...", "# ..."):
            parts.append([])
        else:
            parts[-1].append(line.rstrip())
    texts = (textwrap.dedent("\n".join(part)).strip("\n") for part in parts)
    return [part.splitlines() for part in texts if part]


def test_what_is_wrong_is_found() -> None:
    with pytest.raises(AssertionError, match="has no MarioEnvironment"):
        check_imports(ast.parse("from mario_envkit import MarioEnvironment"))
    whole = "def f():\n    a = 1\n    b = 2\n\n    return a\n"
    assert is_excerpt("a = 1\nb = 2\n", whole)
    assert is_excerpt("    a = 1\n    ...\n    return a\n", whole)
    assert not is_excerpt("b = 2\na = 1\n", whole)
    assert not is_excerpt("return a\n...\na = 1\n", whole)
