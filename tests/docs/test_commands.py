"""Every command in the documents has the subcommand and the options that it names."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from mario_agents.cli import main as agents
from mario_envkit.cli import main as envkit
from tests.docs.command_line import check, commands, ours
from tests.docs.markdown import ROOT, Block, Document, documents
from tests.docs.options import known_options

DOCUMENTS = [document for document in documents() if document.blocks or document.options]
OF_OTHERS = {
    # Options of programs that are not ours, which the text of a document names.
    *("--shm-size", "--user", "--build-arg", "--gpus", "--rm", "--time", "--build"),  # docker
    *("--torch-backend", "--no-deps", "--target"),  # uv, pip
    *("--slow", "--durations", "--peer"),  # pytest, and ours there
    *("--only", "--list", "--platform"),  # python -m tests.gpu, mypy
    *("--strict", "--logdir", "--sync"),  # mkdocs, tensorboard, jupytext
}
CHEAP = {"trainers", "presets", "zoo", "map"}
"""Subcommands that are run wherever they stand: they take a second and need nothing."""


def named(document: Document) -> str:
    return document.name


def shell_blocks(document: Document) -> list[Block]:
    return [block for block in document.blocks if block.language in ("bash", "sh", "console")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_options_of_commands(document: Document) -> None:
    wrong = []
    for block in shell_blocks(document):
        for words in commands(block.text):
            command = ours(words)
            try:
                if command is not None:
                    check(command)
                elif words[0] in ("python", "python3") and words[1:]:
                    _check_python(words[1:])
            except Exception as error:
                wrong.append(f"{document.name}:{block.line}: {shlex.join(words)}: {error}")
    assert not wrong, "\n".join(wrong)


def _check_python(words: list[str]) -> None:
    """A script or a module of this repository that a command runs is there."""
    if words[0] == "-m" and words[1].split(".")[0] in ("tests", "mario_envkit", "mario_agents"):
        path = ROOT / words[1].replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), "no module"
    elif words[0].startswith(("examples/", "scripts/", "tests/")):
        assert (ROOT / words[0]).is_file(), "no such file"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_options_that_the_text_names(document: Document) -> None:
    known = known_options() | OF_OTHERS | document.options_of_others
    wrong = [f"{document.name}:{line}: {name}" for name, line in document.options
             if name not in known]  # fmt: skip
    assert not wrong, "no command has these options: " + ", ".join(wrong)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_files_of_options(document: Document) -> None:
    for block in document.blocks:
        if block.language in ("yaml", "yml"):
            yaml.safe_load(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml" and sys.version_info >= (3, 11):
            import tomllib

            tomllib.loads(block.text)


def cheap_commands() -> list[tuple[str, ...]]:
    found = {
        tuple(command)
        for document in DOCUMENTS
        for block in shell_blocks(document)
        for words in commands(block.text)
        if (command := ours(words)) is not None and len(command) > 1 and command[1] in CHEAP
    }
    return sorted(command for command in found if "--hotspots" not in command)


@pytest.mark.parametrize("command", cheap_commands(), ids=" ".join)
def test_cheap_commands(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *words = command
    assert (envkit if program == "mario-envkit" else agents)(words) == 0


def runs() -> list[Document]:
    return [document for document in DOCUMENTS if any(map(_words_to_add, shell_blocks(document)))]


def _words_to_add(block: Block) -> list[str] | None:
    """The words that training gets besides; None for blocks that are not run."""
    if block.note("run") is not None:
        return ["--device", "cpu"]
    words = block.note("run with")
    return None if words is None else ["--device", "cpu", *shlex.split(words)]


@pytest.mark.slow
@pytest.mark.parametrize("document", runs(), ids=named)
def test_commands_in_their_order(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in one folder; ``runs/RUN`` is the run that was begun last."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    for block in shell_blocks(document):
        added = _words_to_add(block)
        if added is None:
            continue
        for words in commands(block.text):
            command = ours(words)
            if command is None:
                continue
            program, *rest = command
            newest = max(Path("runs").glob("*/config.json"), key=_time, default=None)
            run = "runs/RUN" if newest is None else str(newest.parent)
            rest = [run if word in ("runs/RUN", "RUN") else word for word in rest]
            rest += added if rest[0] == "train" else []
            status = (envkit if program == "mario-envkit" else agents)(rest)
            assert status == 0, f"{document.name}:{block.line}: {shlex.join(rest)}"


def _time(path: Path) -> float:
    return path.stat().st_mtime


def test_a_wrong_option_is_found() -> None:
    for line in ("mario-agents train ppo --levle 1-1", "mario-agents evil", "mario-envkit fly"):
        with pytest.raises(AssertionError, match="does not take"):
            check(line.split())
    for line in ("mario-agents train ppo --resume x --workers 2", "mario-envkit solve --runs 2"):
        check(line.split())
    assert {"--level", "--weights", "--backward"} <= known_options()
