"""``mario-envkit`` on streams that are not UTF-8, without a reader, or on a full device."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mario_envkit.command_line import run_command
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.files import LockWarning
from tests.streams import ENCODINGS, HARD, refusals, run_all, run_refused

HELP = [["--help"], *([name, "--help"] for name in ("play", "solve", "map", "doctor"))]
GOOD = [["map", "--hotspots", "RUN.json", "--out", "RUN.png"], ["doctor"]]
SLOW = [  # the hardest case is enough
    ["solve", "--level", "1-1", "--out", "RUN"],
    ["play", "--replay", "RUN/smb-1-1-console.json", "--video", "RUN.mp4"],
]
REFUSED = [
    ["map", "--hotspots", "RUN-none.json"],
    ["map", "--out", "RUN-none/a.png"],
    ["play", "--rom", "RUN"],
    ["play", "--video", "RUN-none/a.mp4"],
]


@pytest.mark.parametrize(("encoding", "name"), HARD)
@pytest.mark.slow
def test_every_command_in_every_encoding(encoding: str, name: bytes, tmp_path: Path) -> None:
    deaths = DeathHotspotAggregate()
    deaths.record_death("1-1", 500)
    deaths.save(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b".json")))
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    good = [*HELP, *GOOD, *(SLOW if (encoding, name) == HARD[-1] else [])]
    statuses, output, errors = run_all(
        "mario_envkit.cli", [*good, *REFUSED], env={**env, **ENCODINGS[encoding]},
        folder=tmp_path, run=name,
    )  # fmt: skip
    shown = errors.decode("latin1")
    assert statuses == [0] * len(good) + [2] * len(REFUSED), shown
    assert "Traceback" not in shown
    assert b"1 deaths in 1-1" in output


def test_output_without_a_reader_or_on_a_full_device(tmp_path: Path) -> None:
    commands = [["--help"], ["doctor"], ["play", "--help"], ["map"]]
    said = run_refused("mario_envkit.cli", commands, env=os.environ, folder=tmp_path)
    assert said == refusals("mario-envkit", len(commands))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_error_that_cannot_be_told_keeps_its_status() -> None:
    command = [sys.executable, "-m", "mario_envkit.cli", "play", "--level", "9-9"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_closed_streams_are_no_error(stream: str) -> None:
    redirect = {"stdout": ">&-", "stderr": "2>&-"}[stream]
    line = f'"{sys.executable}" -m mario_envkit.cli map --help {redirect}'
    assert subprocess.run(["sh", "-c", line], capture_output=True).returncode == 0


def test_warnings_of_ours_are_one_sentence() -> None:
    said = []

    def command() -> None:
        for category in (LockWarning, FutureWarning):
            said.append(warnings.formatwarning("No locks.", category, "file.py", 3, "code"))

    formatter = warnings.formatwarning
    assert run_command("mario-envkit", command) == 0
    assert warnings.formatwarning is formatter
    assert said == ["WARNING: No locks.\n", "file.py:3: FutureWarning: No locks.\n  code\n"]


def test_an_error_of_the_system_is_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    assert run_command("mario-envkit", lambda: missing.read_bytes() and None) == 2
    said = f"mario-envkit: {missing}: No such file or directory.\n"
    assert capsys.readouterr().err == said
