"""Writes the report of a run in a child process, and opens it in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
import webbrowser
from pathlib import Path


class ReportJob:
    """Writes the report of a run when it is asked to.

    Args:
        run_path: the run directory.
        open_page: open it in a browser here, if there is a screen.
    """

    def __init__(self, run_path: Path, *, open_page: bool = True) -> None:
        self._run_path, self._open_page = run_path, open_page
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Begin, unless it is under way; returns what to tell the user."""
        if self._process is not None:
            return "The report is being written."
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mario_agents.cli", "report", str(self._run_path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        return "The report is being written..."

    def poll(self) -> str | None:
        """What to tell the user once the report is there, or could not be made."""
        if self._process is None or self._process.poll() is None:
            return None
        output, _ = self._process.communicate()
        failed, self._process = self._process.returncode != 0, None
        if failed:
            return f"No report: {' '.join(output.split())[-200:]}"
        page = self._run_path / "report.html"
        here = self._open_page and page.is_file() and _has_display()
        if here and webbrowser.open(page.resolve().as_uri()):
            return f"Opened {page}."
        return " ".join(output.split())[-200:]


def _has_display() -> bool:
    """Whether a browser would come in a window: one in the terminal would be in the way."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
