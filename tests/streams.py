"""Encodings that standard streams have in the wild, and names of files that are hard to print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.waiting import PATIENCE

ENCODINGS: dict[str, dict[str, str]] = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}
HARD = [
    ("ascii", "Müller".encode()),
    ("cp1252", b"run-\xff"),  # no text
    ("C", "Müller".encode()),
    ("C", b"run-\xff"),
]
"""Encodings, and names of files that are hard to print there."""

DRIVER = """
import importlib, json, sys
main = importlib.import_module(sys.argv[1]).main
for words in json.loads(sys.argv[2]):
    words = [word.replace("RUN", sys.argv[3]) for word in words]
    try:
        status = main(words)
    except SystemExit as stop:
        status = int(stop.code or 0)
    print("status", status, flush=True)
"""

REFUSING = """
import importlib, json, os, sys
main = importlib.import_module(sys.argv[1]).main
reading, writing = os.pipe()
os.close(reading)
for output in [writing] + [os.open(sys.argv[3], os.O_WRONLY)] * os.path.exists(sys.argv[3]):
    os.dup2(output, 1)
    for words in json.loads(sys.argv[2]):
        try:
            status = main(words)
        except SystemExit as stop:
            status = int(stop.code or 0)
        print("status", status, file=sys.stderr, flush=True)
"""


def run_refused(
    module: str, commands: Sequence[Sequence[str]], *, env: Mapping[str, str], folder: Path
) -> list[str]:
    """Run command lines with an output that nobody reads, then with one on a full device (where
    there is one): what they say, and their exit statuses."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSING, module, json.dumps(commands), "/dev/full"],
        env=dict(env), cwd=folder, capture_output=True, timeout=PATIENCE, check=False, text=True,
    )  # fmt: skip
    return done.stderr.splitlines()


def refusals(program: str, commands: int) -> list[str]:
    """What :func:`run_refused` should return."""
    sentence = f"{program}: The output cannot be written: No space left on device."
    full = [sentence, "status 2"] if os.path.exists("/dev/full") else []
    return ["status 141"] * commands + full * commands


def run_all(
    module: str,
    commands: Sequence[Sequence[str]],
    *,
    env: Mapping[str, str],
    folder: Path,
    run: bytes = b"run",
) -> tuple[list[int], bytes, bytes]:
    """Run command lines one after the other in one process, with ``run`` for RUN in their words.

    Returns:
        Their exit statuses, and all that they wrote on both streams.
    """
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, module, json.dumps(commands), os.fsdecode(run)],
        env=dict(env), cwd=folder, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    statuses = [int(line.split()[1]) for line in lines if line.startswith(b"status ")]
    return statuses, done.stdout, done.stderr
