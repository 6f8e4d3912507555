"""What the page about troubleshooting quotes is what the code says."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import PAGES, ROOT, Document

PAGE = Document(PAGES / "troubleshooting.md")
QUOTED = re.compile(r"(?<![\w*])\*([^*\n]+(?:\n[^*\n]+)?)\*(?![\w*])")


def messages() -> list[str]:
    """Italics of several words that begin as our messages do, or have a gap in them."""
    found = {" ".join(text.split()) for text in QUOTED.findall(PAGE.prose)}
    return sorted(text for text in found
                  if " " in text and (text[0].isupper() or "..." in text))  # fmt: skip


@pytest.fixture(scope="module")
def said() -> str:
    """All texts in the code: parts that stand one after another are one, values are gaps."""
    texts = [path.read_text(encoding="utf-8") for package in ("mario_envkit", "mario_agents")
             for path in (ROOT / package).rglob("*.py")]  # fmt: skip
    joined = re.sub(r"[\"']\s*\n\s*f?[\"']", "", "\n".join(texts))
    return re.sub(r"\{[^{}\n]*\}|%[dsg]", "...", joined)


@pytest.mark.parametrize("message", messages())
def test_the_code_says_it(message: str, said: str) -> None:
    parts = [part.strip() for part in re.split(r"\.\.\.|\bN\b|\bsmb\b", message)]
    first, *rest = [part for part in parts if part]
    gap = r"[^\n]{0,200}?(?:\n[^\n]{0,200}?)?"
    pattern = re.compile("".join(gap + re.escape(part) for part in rest))
    places = [match.end() for match in re.finditer(re.escape(first), said)]
    assert any(pattern.match(said, place) for place in places), message


def test_there_are_some() -> None:
    assert len(messages()) >= 12
