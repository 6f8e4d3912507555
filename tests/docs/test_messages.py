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
    gap = r"(?:(?!\n\n)[\s\S])*?"
    parts = re.split(r"\.\.\.|\bN\b|\bsmb\b", message)
    assert re.search(gap.join(re.escape(part.strip()) for part in parts), said), message


def test_there_are_some() -> None:
    assert len(messages()) >= 12
