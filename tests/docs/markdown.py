"""What tests of documents need to know of a Markdown file: blocks of code, links, headings, words.

Comments before a block say what is done with it:

* ``<!-- compile only: WHY -->``, python: compiled, and names of our packages imported.
* ``<!-- excerpt: FILE -->``, python: lines of that file, ``...`` for those left out; before the
  first heading of a page it is about all blocks of the page that say nothing else.
* ``<!-- not run: WHY -->``, bash: the words are checked against the parser all the same.
* ``<!-- slow test -->`` anywhere: its Python takes more than a few seconds.
* ``<!-- run -->`` and ``<!-- run with: WORDS -->``, bash: run in the folder of the page; the words
  are added to ``mario-agents train``.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<mark>`{3,}|~{3,})(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^ *(?P=mark) *$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.*?)(?: *\{ *#([\w-]+) *\})? *#*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: the word after the fence, or "".
        text: without the indentation of the fence.
        line: of its first line of code, from 1.
        notes: the comments directly before it, without their marks.
    """

    language: str
    text: str
    line: int
    notes: tuple[str, ...]

    def note(self, name: str) -> str | None:
        """What follows ``name:`` in a comment before the block; None if there is no such one."""
        for note in self.notes:
            word, _, rest = note.partition(":")
            if word.strip() == name:
                return rest.strip()
        return None


class Document:
    """A Markdown file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        """Blocks of code in their order."""
        found, end = [], 0
        for match in _FENCE.finditer(self.text):
            before = self.text[end : match.start()]
            directly = re.search(r"((?:<!--(?:(?!-->).)*-->\s*)+)\Z", before, re.DOTALL)
            notes = _COMMENT.findall(directly[1]) if directly else []
            found.append(
                Block(
                    match["language"],
                    textwrap.dedent(match["text"]) if match["indent"] else match["text"],
                    self.text.count("\n", 0, match.start("text")) + 1,
                    tuple(" ".join(note.split()) for note in notes),
                )
            )
            end = match.end()
        return found

    @cached_property
    def prose(self) -> str:
        """The text without blocks of code and comments, which are empty lines instead."""

        def blank(match: re.Match[str]) -> str:
            return "\n" * match[0].count("\n")

        return _COMMENT.sub(blank, _FENCE.sub(blank, self.text))

    @cached_property
    def page_note(self) -> str | None:
        """The files that blocks of this page are excerpts of, if a comment at its head says so."""
        head = self.text.split("\n## ")[0]
        for note in _COMMENT.findall(head.split("```")[0]):
            word, _, rest = note.partition(":")
            if word.strip() == "excerpt":
                return " ".join(rest.split())
        return None

    @cached_property
    def links(self) -> list[tuple[str, int]]:
        """Targets, and the lines they are in."""
        text = re.sub(r"`[^`\n]*`", lambda code: "`" * len(code[0]), self.prose)
        return [
            (match[1] or match[2], text.count("\n", 0, match.start()) + 1)
            for match in _LINK.finditer(text)
        ]

    @cached_property
    def anchors(self) -> set[str]:
        """Names of headings that both MkDocs and the usual places for repositories give them."""
        names = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", self.prose))
        for title, given in _HEADING.findall(self.prose):
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
            kept = re.sub(r"[^\w\s-]", "", plain).strip().lower()
            if given:
                names.add(given)
            elif kept.replace(" ", "-") == re.sub(r"[-\s]+", "-", kept):
                names.add(kept.replace(" ", "-"))
        return names

    @cached_property
    def options(self) -> list[tuple[str, int]]:
        """Options that the text names in backticks, and the lines they are in."""
        return [
            (option, self.prose.count("\n", 0, code.start()) + 1)
            for code in re.finditer(r"`[^`\n]+(?:\n[^`\n]+)?`", self.prose)
            for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code[0])
        ]

    @property
    def options_of_others(self) -> set[str]:
        """Options of programs that are not ours, by ``<!-- options of others: --NAME ... -->``."""
        notes = re.findall(r"<!-- options of others:(.*?)-->", self.text, re.DOTALL)
        return {name for note in notes for name in note.split()}


def documents() -> list[Document]:
    """Everything that people read here, but for the list of changes, which tells of the past."""
    found = [*ROOT.glob("*.md"), *PAGES.rglob("*.md")]
    for folder in ("docker", "docs", "examples", "mario_agents", "mario_envkit", "scripts"):
        found += (path for path in (ROOT / folder).rglob("*.md") if PAGES not in path.parents)
    return [Document(path) for path in sorted(set(found)) if path.name != "CHANGELOG.md"]
