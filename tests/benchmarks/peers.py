"""Other people's software to measure against, each in a virtual environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent / ".peers"


def python_with(name: str, *requirements: str) -> Path:
    """The interpreter of a virtual environment that has ``requirements``, made when missing."""
    home = FOLDER / name
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing {' '.join(requirements)} ...", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
        (home / "complete").touch()
    return python


class Gym74:
    """gym-super-mario-bros 7.4 with the usual wrappers, measured on demand in a child process."""

    def __init__(self) -> None:
        python = python_with(
            "gym-7.4", "numpy<2", "gym-super-mario-bros==7.4.0", "opencv-python-headless<4.12"
        )
        script = Path(__file__).with_name("peer_gym_7_4.py")
        self._child = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        assert self._child.stdout.readline().strip() == "ready"

    def measure(self, seconds: float) -> dict[str, float]:
        """Frames/s of the bare environment, agent steps/s of the wrapped one."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print(seconds, file=self._child.stdin, flush=True)
        figures: dict[str, float] = json.loads(self._child.stdout.readline())
        return figures

    def close(self) -> None:
        """End the child process."""
        self._child.communicate()
