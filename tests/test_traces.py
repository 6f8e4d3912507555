"""MarioEnv does what gym-super-mario-bros does: the recorded traces, replayed frame by frame.

The traces under ``traces/data`` were written by ``traces/record.py`` (7.4, the whole environment)
and ``traces/record_v9.py`` (9.x, the reward). Scenarios are independent of one another, so they
may run in parallel.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.emulator.backends import TIMINGS, available_backends
from mario_envkit.emulator.nes_py import nes_py_version
from mario_envkit.emulator.rom import ROM_VARIABLE, find_rom
from mario_envkit.env import MarioEnv
from mario_envkit.errors import RomError
from mario_envkit.game.reward_options import resolve_reward
from mario_envkit.game.state import GameState, read_state
from tests.traces.format import (
    INFO_KEYS,
    SCREEN_GROUP,
    Trace,
    TraceError,
    header_of,
    read_trace,
    write_trace,
)

DATA = Path(__file__).parent / "traces" / "data"
ALL = {path: header_of(path) for path in sorted(DATA.glob("*.trace"))}
GAMES = [path for path, header in ALL.items() if header["kind"] == "gym-super-mario-bros 7.4"]
REWARDS = [
    path for path, header in ALL.items() if header["kind"] == "gym-super-mario-bros 9 reward"
]


def exact_backends() -> list[str]:
    """Backends that promise the timing of nes-py 8.2 here; nes-py 9 has another timing."""
    major = (nes_py_version() or "0").split(".")[0]
    return [
        name
        for name in available_backends()
        if "nes-py" in TIMINGS[name] and (name != "nes-py" or major == "8")
    ]


@pytest.fixture(params=sorted(TIMINGS))
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv(ROM_VARIABLE, raising=False)
    if request.param not in exact_backends():
        pytest.skip(f"the backend {request.param} has no nes-py 8 timing in this environment")
    return str(request.param)


def make_env(trace: Trace, backend: str) -> MarioEnv:
    head = trace.header
    try:
        rom = find_rom(head["game"], head["rom_variant"], None)
    except RomError as error:
        if head["rom_variant"] != "vanilla":
            pytest.skip(str(error))  # gym-super-mario-bros 9 ships no graphics variants
        raise
    assert rom.sha256 == head["rom_sha256"]
    return MarioEnv(
        game=head["game"],
        level=head["level"],
        rom_variant=head["rom_variant"],
        backend=backend,
        timing="nes-py",
    )


class Replay:
    """Plays a trace on an environment; fails at the first frame that is not as recorded."""

    def __init__(self, trace: Trace, env: MarioEnv) -> None:
        self.trace = trace
        self.env = env
        self.episode = 0
        self.frame = 0
        self._screens = 0

    def run(self) -> None:
        resets = self.trace.columns["reset_frame"]
        for frame in range(self.trace.frames):
            self.frame = frame
            if self.episode < len(resets) and resets[self.episode] == frame:
                self._reset()
            self._step()
        assert self.episode == len(resets)

    def _reset(self) -> None:
        observation, info = self.env.reset()
        columns, index = self.trace.columns, self.episode
        got = {key: info[key] for key in INFO_KEYS}
        got["CRC-32 of RAM"] = zlib.crc32(self.env.emulator.ram)
        got["CRC-32 of the screen"] = zlib.crc32(observation)
        expected = self.trace.info(index, "reset_")
        expected["CRC-32 of RAM"] = columns["reset_ram_crc32"][index]
        expected["CRC-32 of the screen"] = columns["reset_screen_crc32"][index]
        self._compare(expected, got, "after reset")
        self.episode += 1

    def _step(self) -> None:
        columns, index = self.trace.columns, self.frame
        buttons = columns["buttons"][index]
        observation, reward, terminated, truncated, info = self.env.step(buttons)
        got = {key: info[key] for key in INFO_KEYS}
        got |= {"reward": reward, "terminated": terminated, "truncated": truncated}
        got["CRC-32 of RAM"] = zlib.crc32(self.env.emulator.ram)
        expected = self.trace.info(index)
        expected["reward"] = float(columns["reward"][index])
        expected["terminated"] = bool(columns["done"][index])
        expected["truncated"] = False
        expected["CRC-32 of RAM"] = columns["ram_crc32"][index]
        self._screens = zlib.crc32(observation, self._screens)
        if (index + 1) % SCREEN_GROUP == 0 or index + 1 == self.trace.frames:
            key = f"CRC-32 of the screens since frame {index // SCREEN_GROUP * SCREEN_GROUP}"
            got[key] = self._screens
            expected[key] = columns["screen_crc32"][index // SCREEN_GROUP]
            self._screens = 0
        self._compare(expected, got, f"buttons {buttons:#04x}")

    def _compare(self, expected: dict[str, Any], got: dict[str, Any], when: str) -> None:
        if expected == got:
            return
        differences = "; ".join(
            f"{key}: expected {value!r}, got {got[key]!r}"
            for key, value in expected.items()
            if got[key] != value
        )
        pytest.fail(
            f"{self.trace.header['name']}: first difference at frame {self.frame} ({when}, "
            f"episode {self.episode}): {differences}",
            pytrace=False,
        )


def replays() -> Iterator[Any]:
    """Every trace on every backend; nes-py takes a hundred times as long as the native console, and
    is the one that they were recorded with: one of each game tells that it still is."""
    for backend in sorted(TIMINGS):
        for path in GAMES:
            head = ALL[path]
            one_of_more = head["game"] == "smb" and head["rom_variant"] != "vanilla"
            slow = backend == "nes-py" and (head["frames"] > 300 or one_of_more)
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(path, backend, marks=marks, id=f"{backend}-{path.stem}")


@pytest.mark.parametrize(("path", "backend"), list(replays()), indirect=["backend"])
def test_every_frame_is_as_recorded(path: Path, backend: str) -> None:
    trace = read_trace(path)
    env = make_env(trace, backend)
    try:
        Replay(trace, env).run()
    finally:
        env.close()


@pytest.mark.parametrize("column", ["reward", "done", "x_pos", "status", "ram_crc32"])
def test_a_single_wrong_value_is_found(column: str, backend: str) -> None:
    trace = read_trace(DATA / "smb-1-1-vanilla.trace")
    trace.columns[column][7] ^= 1
    env = make_env(trace, backend)
    try:
        with pytest.raises(pytest.fail.Exception, match=r"frame 7 .*expected .*, got "):
            Replay(trace, env).run()
    finally:
        env.close()


def test_the_traces_cover_what_they_should() -> None:
    headers = [ALL[path] for path in GAMES]
    assert sum(header["frames"] for header in headers) >= 60_000
    levels = {(header["game"], header["level"]) for header in headers}
    smb = {("smb", level) for level in ("full", "1-1", "1-2", "2-2", "4-2", "4-4", "8-4")}
    assert levels >= smb | {("lost_levels", "1-1")}
    variants = {header["rom_variant"] for header in headers}
    assert variants == {"vanilla", "downsample", "pixel", "rectangle"}
    totals = {
        key: sum(header["summary"][key] for header in headers) for key in headers[0]["summary"]
    }
    assert totals["deaths"] >= 100
    assert totals["flags"] >= 5
    assert totals["game_overs"] >= 4
    assert totals["area_changes"] >= 4
    assert totals["frames_powered_up"] >= 100


# -- the reward of 9.x ---------------------------------------------------------------------------


def states(trace: Trace, prefix: str, count: int) -> Iterator[GameState]:
    """Game states out of the RAM bytes that were recorded with the reward."""
    start = f"{prefix}ram_"
    bytes_at = {
        int(n[len(start) :], 16): v for n, v in trace.columns.items() if n.startswith(start)
    }
    for index in range(count):
        ram = bytearray(2048)
        for address, values in bytes_at.items():
            ram[address] = values[index]
        yield read_state(ram)


@pytest.mark.parametrize("path", REWARDS, ids=lambda path: path.stem)
def test_reward_v9_and_its_parts_are_as_recorded(path: Path) -> None:
    trace = read_trace(path)
    reward = resolve_reward("v9")
    columns = trace.columns
    resets = dict(
        zip(
            columns["reset_frame"],
            states(trace, "reset_", len(columns["reset_frame"])),
            strict=True,
        )
    )
    for frame, state in enumerate(states(trace, "", trace.frames)):
        if frame in resets:
            memory = reward.start(resets[frame])
        got, parts, memory = reward(memory, state)
        expected_parts = {
            name: float(columns[f"part_{name}"][frame]) for name in trace.header["parts"]
        }
        assert parts == pytest.approx(expected_parts, abs=1e-9), f"{path.stem}, frame {frame}"
        assert got == pytest.approx(columns["reward"][frame], abs=1e-9), f"frame {frame}"


# -- the files -----------------------------------------------------------------------------------


@given(
    deltas=st.lists(st.integers(-(10**17), 10**17), max_size=20),
    checksums=st.lists(st.integers(0, 2**32 - 1), max_size=20),
    floats=st.lists(st.floats(allow_nan=False), max_size=20),
)
def test_traces_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    deltas: list[int],
    checksums: list[int],
    floats: list[float],
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.trace"
    columns = {"numbers": deltas, "some_crc32": checksums, "floats": floats}
    write_trace(path, {"frames": 3, "name": "round"}, columns)
    trace = read_trace(path)
    assert trace.columns == columns
    assert trace.header == {"frames": 3, "name": "round"}
    assert trace.frames == 3


@pytest.mark.parametrize("damage", [b"", b"not a trace", "cut", "flip"])
def test_damaged_traces_are_refused(damage: bytes | str, tmp_path: Path) -> None:
    raw = (DATA / "smb-1-1-vanilla.trace").read_bytes()
    path = tmp_path / "damaged.trace"
    if damage == "cut":
        damage = raw[:-100]
    elif damage == "flip":
        damage = raw[:-100] + bytes([raw[-100] ^ 0x10]) + raw[-99:]
    assert isinstance(damage, bytes)
    path.write_bytes(damage)
    with pytest.raises(TraceError):
        read_trace(path)
