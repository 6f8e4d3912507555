"""A hook of MkDocs: files of the repository that pages link to are in the site, too.

Pages link to them by relative paths, which work wherever the repository is browsed. Here a Markdown
file becomes a page, a notebook or a picture stays what it is, and any other text is a page with its
lines numbered: ``loss.py#L10`` is line 10.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
FOLDER = "repository"  # of the generated pages
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]*)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
COPIED = (".ipynb", ".png", ".svg")  # files that are no pages
LANGUAGES = {".py": "python", ".sh": "bash", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}
log = logging.getLogger("mkdocs.plugins.repository")


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each file that a page links to, and for those that these link to."""
    pages = Path(config.docs_dir)
    waiting = [(file.content_string, _folder(file, pages)) for file in files.documentation_pages()]
    waiting += [("", ROOT)] + [(f"[]({path})", ROOT) for path in _named(config.nav)]
    while waiting:
        text, folder = waiting.pop()
        for match in _links(text):
            target = _target(match[2], folder)
            if target is None or target.is_relative_to(pages):
                continue
            name = _page_of(target)
            if files.get_file_from_path(name) is not None:
                continue
            content = _content(target)
            files.append(File.generated(config, name, content=content))
            if target.suffix == ".md":
                waiting.append((str(content), target.parent))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links to files of the repository lead to these pages."""
    pages = Path(config.docs_dir)
    folder = _folder(page.file, pages)
    here = PurePosixPath(page.file.src_uri).parent

    def changed(match: re.Match[str]) -> str:
        target = _target(match[2], folder)
        if target is None:
            return match[0]
        inside = target.is_relative_to(pages)
        name = target.relative_to(pages).as_posix() if inside else _page_of(target)
        anchor = re.sub(r"#L(\d+)(-L\d+)?$", r"#__codelineno-0-\1", match[3] or "")
        return f"{match[1]}{os.path.relpath(name, here)}{anchor}{match[4]}"

    for match in reversed(_links(markdown)):
        markdown = markdown[: match.start()] + changed(match) + markdown[match.end() :]
    return markdown


def _links(text: str) -> list[re.Match[str]]:
    """The links of a page that are not in blocks of code."""
    code = [match.span() for match in FENCE.finditer(text)]
    return [
        match
        for match in LINK.finditer(text)
        if match[2] and not any(start <= match.start() < end for start, end in code)
    ]


def _folder(file: Any, pages: Path) -> Path:
    """Where the text of a page is, which is what its links are relative to."""
    if file.src_uri.startswith(f"{FOLDER}/"):
        return (ROOT / file.src_uri.removeprefix(f"{FOLDER}/")).parent
    return (pages / file.src_uri).parent


def _target(link: str, folder: Path) -> Path | None:
    """The file that a link means; None for what is no file, which MkDocs then complains about."""
    path = Path(os.path.normpath(folder / link))
    if path.is_dir() and (path / "README.md").is_file():
        path = path / "README.md"
    return path if path.is_relative_to(ROOT) and path.is_file() else None


def _page_of(target: Path) -> str:
    name = target.relative_to(ROOT).as_posix()
    return f"{FOLDER}/{name if target.suffix in ('.md', *COPIED) else name + '.md'}"


def _content(target: Path) -> str | bytes:
    if target.suffix in COPIED:
        return target.read_bytes()
    text = target.read_text(encoding="utf-8")
    if target.suffix == ".md":
        return text
    name = target.relative_to(ROOT).as_posix()
    language = LANGUAGES.get(target.suffix, "text")
    return (
        f"---\ntitle: {target.name}\nsearch:\n  exclude: true\n---\n"
        f'# `{name}`\n\n````{language} linenums="1"\n{text}\n````\n'
    )


def _named(entries: Any) -> list[str]:
    """Files of the repository that the navigation names by their generated pages."""
    if isinstance(entries, str):
        prefix = f"{FOLDER}/"
        return [entries.removeprefix(prefix)] if entries.startswith(prefix) else []
    values = entries.values() if isinstance(entries, dict) else entries
    return [path for value in values for path in _named(value)]
