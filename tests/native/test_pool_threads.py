"""The pool's threads: overlap, errors, forks, and ThreadSanitizer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.vector import AsyncVectorEnv

from mario_envkit.emulator import native
from mario_envkit.emulator.rom import find_rom
from mario_envkit.env import MarioEnv
from mario_envkit.errors import EmulatorClosed
from mario_envkit.game.levels import Level
from mario_envkit.vector.cores import _quota, available_cores
from tests.native.vectors import assert_same, hold_some

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

SOURCES = Path(__file__).parents[2] / "mario_envkit" / "native"


@pytest.mark.parametrize("threads", [1, 3])
def test_a_step_in_two_halves_is_a_step(threads):
    whole, halves = (
        gymnasium.make_vec(
            "MarioTrain-v0", 4, level="random", num_threads=threads, autoreset_mode="SameStep",
            repeat_action_probability=0.1, max_episode_steps=20,
        )
        for _ in range(2)
    )  # fmt: skip
    assert_same(halves.reset(seed=1), whole.reset(seed=1), "reset")
    act = hold_some(4, 7, 0)
    for number in range(50):
        actions = act(number)
        halves.step_async(actions)
        assert_same(halves.step_wait(), whole.step(actions), f"step {number}")


def test_halves_out_of_order():
    env = gymnasium.make_vec("MarioTrain-v0", 2)
    env.reset()
    with pytest.raises(NoAsyncCallError):
        env.step_wait()
    env.step_async([1, 1])
    for call in (lambda: env.step([1, 1]), lambda: env.step_async([1, 1]), env.reset):
        with pytest.raises(AlreadyPendingCallError):
            call()
    env.step_wait()
    env.step_async([1, 1])
    env.close()  # waits for the games


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_gets_an_error_and_can_end():
    env = gymnasium.make_vec("MarioTrain-v0", 2, num_threads=2)
    env.reset()
    child = os.fork()
    if child == 0:  # no exception may leave this block: it would go on with the tests
        code = 1
        try:
            env.step([1, 1])
        except EmulatorClosed as error:
            env.close()
            own = gymnasium.make_vec("MarioTrain-v0", 2, num_threads=2)
            own.reset()
            own.step([1, 1])
            own.close()
            code = 0 if "another process" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    env.step([1, 1])


def make_two():
    """A vector environment within a process of AsyncVectorEnv."""

    class Both(gymnasium.Env):
        def __init__(self):
            self.games = gymnasium.make_vec("MarioTrain-v0", 2, num_threads=2)
            self.observation_space = self.games.observation_space
            self.action_space = self.games.action_space

        def reset(self, *, seed=None, options=None):
            return self.games.reset(seed=seed)[0], {}

        def step(self, action):
            return self.games.step(action)[0], 0.0, False, False, {}

    return Both()


def test_processes_may_have_pools_of_their_own():
    env = AsyncVectorEnv([make_two, make_two], context="spawn")
    try:
        env.reset(seed=0)
        observations = env.step(np.ones((2, 2), np.int64))[0]
        assert observations.shape == (2, 2, 4, 84, 84)
        assert observations.any()
    finally:
        env.close()


def test_threads_default_to_the_cores_there_are():
    assert gymnasium.make_vec("MarioTrain-v0", 1000).num_threads == available_cores()
    assert gymnasium.make_vec("MarioTrain-v0", 1).num_threads == 1


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "junk"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_the_quota_of_a_container(files, quota, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert _quota(tmp_path) == quota
    monkeypatch.setattr("mario_envkit.vector.cores._CGROUPS", tmp_path)
    assert available_cores() >= 1


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """Builds a driver with ThreadSanitizer, and the core but once."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("sanitized")
    options = ["-std=c++17", "-O1", "-g", "-fsanitize=thread", f"-I{SOURCES}"]

    def compile_(*arguments):
        return subprocess.run(
            [compiler, *options, *arguments], cwd=folder, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    sources = [path for path in SOURCES.glob("*.cpp") if "bindings" not in path.name]
    core = compile_("-c", *(path for path in sources if "driver" not in path.name))
    assert core.returncode == 0, core.stderr

    def build(name):
        driver = Path(__file__).with_name(f"{name}.cpp")
        linked = compile_("-o", name, driver, *sorted(folder.glob("*.o")))
        if linked.returncode and "tsan" in linked.stderr:
            pytest.skip("the compiler comes without ThreadSanitizer")
        assert linked.returncode == 0, linked.stderr
        return folder / name

    return build


def run_with_thread_sanitizer(program, folder, timing="console"):
    """What a driver prints about a game of 1-1, having shown no race."""
    game = MarioEnv(backend="native", timing=timing)
    start = folder / "start"
    start.write_bytes(game.start_of(Level(1, 1)).data)
    command = [program, find_rom().path, start, game.emulator.core]
    if shutil.which("setarch"):  # ThreadSanitizer of older compilers needs fixed addresses
        command = ["setarch", "-R", *command]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr, run.stderr
    return run.stdout.split()


@pytest.mark.slow
def test_thread_sanitizer_finds_nothing(sanitized, tmp_path):
    checksums = run_with_thread_sanitizer(sanitized("pool_driver"), tmp_path)
    assert len(checksums) == 3
    assert len(set(checksums)) == 1, "the number of threads must not matter"


@pytest.mark.slow
def test_thread_sanitizer_finds_nothing_where_threads_share(sanitized, tmp_path):
    checksums = run_with_thread_sanitizer(sanitized("sharing_driver"), tmp_path, "nes-py")
    alone, shared = checksums[::2], checksums[1::2]
    assert len(alone) == 3
    assert shared == alone
