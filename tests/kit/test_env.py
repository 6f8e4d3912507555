"""The environments by id: Gymnasium's contract, seeds, levels, info and rendering."""

from __future__ import annotations

import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import mario_envkit
from mario_envkit.emulator.rom import installed_roms
from mario_envkit.errors import (
    DisplayUnavailable,
    LevelError,
    MarioEnvkitError,
    OptionError,
    WindowClosed,
)

# Gymnasium calls all but the highest version out of date; here the versions are graphics variants,
# of which gym-super-mario-bros 9 ships the first alone.
VARIANTS_INSTALLED = any(rom.variant == "rectangle" for rom in installed_roms())
VERSION = "v3" if VARIANTS_INSTALLED else "v0"

IDS = {
    "Mario-v0": {},
    "MarioTrain-v0": {},
    "MarioTrain-v0/everything": {
        "repeat_action_probability": 0.25, "noop_max": 8, "stall_limit": 10, "max_pool": True,
        "reward": "progress", "crop_top": 32, "screen_size": (52, 64), "level": ["1-1", "1-2"],
        "blank_probability": 0.25, "reward_weights": {"death": 25, "stall": 2.5},
        "repeat_frame_probability": 0.25,
    },
    "MarioTrain-v0/ram": {"observation": "ram"},
    "MarioTiles-v0": {"show_buttons": True, "show_level": True},
    f"mario_envkit/SuperMarioBros-{VERSION}": {},
    f"mario_envkit/SuperMarioBros-1-1-{VERSION}": {},
    f"mario_envkit/SuperMarioBros2-{'v1' if VARIANTS_INSTALLED else 'v0'}": {},
    f"mario_envkit/SuperMarioBrosRandomStages-{VERSION}": {},
}  # fmt: skip


def make(name: str, **kwargs):
    env_id = "/".join(part for part in name.split("/") if part not in ("everything", "ram"))
    return gymnasium.make(env_id, **{**IDS[name], **kwargs})


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_finds_nothing_to_complain_about(name, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # the check opens a window as well
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is out of date.*")
        # Said of every environment with wrappers; the wrappers are what is checked here.
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(make(name))


@pytest.mark.parametrize("name", ["MarioTrain-v0", "MarioTrain-v0/everything"])
def test_a_seed_decides_everything(name):
    def episode(env, seed):
        env.action_space.seed(seed)
        observation, info = env.reset(seed=seed)
        log = [(observation.tobytes(), info)]
        for _ in range(40):
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            log.append((observation.tobytes(), reward, terminated, truncated, info))
            if terminated or truncated:
                log.append(env.reset()[0].tobytes())
        return log

    first, second = make(name), make(name)
    assert episode(first, 3) == episode(second, 3) == episode(first, 3)
    assert episode(first, 4) != episode(first, 3)


def test_drop_in_ids_are_as_in_7_4():
    env = gymnasium.make(f"mario_envkit/SuperMarioBros-1-1-{VERSION}")
    assert env.action_space.n == 256
    observation, info = env.reset()
    assert observation.shape == (240, 256, 3)
    of_7_4 = {
        "coins": 0, "flag_get": False, "life": 2, "score": 0, "stage": 1, "status": "small",
        "time": 400, "world": 1, "x_pos": 40, "y_pos": 79,
    }  # fmt: skip
    assert {key: info[key] for key in of_7_4} == of_7_4
    bare = "SuperMarioBros-1-1-v0"
    if bare not in gymnasium.registry:
        mario_envkit.register_legacy_ids()
    assert gymnasium.make(bare).reset()[1]["x_pos"] == 40


def test_observations_are_copies():
    env = make("Mario-v0")
    first, _ = env.reset()
    kept = first.copy()
    second, *_ = env.step(128)
    third, *_ = env.step(128)
    assert np.array_equal(first, kept)
    assert not np.shares_memory(second, third)


def test_levels_by_option_and_by_argument():
    env = make("MarioTrain-v0", level="sequential")
    assert [env.reset()[1]["level"] for _ in range(3)] == ["1-1", "1-2", "1-3"]
    assert env.reset(options={"level": "8-4"})[1]["level"] == "8-4"
    assert env.reset()[1]["level"] == "1-4"
    emulator = env.unwrapped.emulator
    assert env.reset(options={"level": (2, 2)})[1]["level"] == "2-2"
    assert env.unwrapped.emulator is emulator
    with pytest.raises(LevelError):
        env.reset(options={"level": "9-9"})
    assert env.reset()[1]["level"] == "2-1"


def test_the_level_starts_the_same_however_one_came_there():
    env = make("Mario-v0", level="1-2")
    first, _ = env.reset()
    env.step(128)
    env.reset(options={"level": "1-1"})
    again, _ = env.reset()
    assert np.array_equal(first, again)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"level": "1-9"}, "no level '1-9'"),
        ({"actions": "fast"}, "actions='fast' does not exist"),
        ({"reward": "gold"}, "reward='gold' does not exist"),
        ({"observation": "smell"}, "observation='smell' does not exist"),
        ({"frame_skip": 0}, "frame_skip=0 is not possible"),
        ({"frame_stack": 0}, "frame_stack=0 is not possible"),
        ({"noop_max": -1}, "noop_max=-1 is not possible"),
        ({"stall_limit": 0}, "stall_limit=0 is not possible"),
        ({"repeat_action_probability": 1.5}, "repeat_action_probability=1.5 is not possible"),
        ({"blank_probability": 1}, "blank_probability=1 is not possible"),
        ({"screen_size": 999}, "is not possible"),
        ({"backend": "mame"}, "backend='mame' does not exist"),
        ({"rom": "/nowhere/mario.nes"}, "cannot be read"),
    ],
)
def test_wrong_arguments_get_one_sentence(kwargs, message):
    with pytest.raises(MarioEnvkitError, match=message) as raised:
        make("MarioTrain-v0", **kwargs)
    assert "\n" not in str(raised.value)


def test_wrong_render_mode():
    with pytest.raises(OptionError, match="render_mode='ascii'"):
        mario_envkit.MarioEnv(render_mode="ascii")


def test_a_window_without_a_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    env = make("MarioTrain-v0", render_mode="human")
    with pytest.raises(DisplayUnavailable, match="there is no display here"):
        env.reset()


def test_closing_the_window_ends_the_episode(monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = make("Mario-v0", render_mode="human")
    env.reset()
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    with pytest.raises(WindowClosed):
        env.step(0)
    env.close()


def test_specs_and_pickles_make_the_same_environment():
    env = make("MarioTrain-v0", level="1-2", reward="progress")
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    pickled = pickle.loads(pickle.dumps(env))
    for other in (again, pickled):
        assert np.array_equal(other.reset(seed=1)[0], env.reset(seed=1)[0])
        assert str(other.unwrapped.level) == "1-2"


def test_closing_twice_is_harmless():
    env = make("MarioTrain-v0")
    env.reset()
    env.close()
    env.close()


@pytest.mark.parametrize("kind", [gymnasium.vector.SyncVectorEnv, gymnasium.vector.AsyncVectorEnv])
def test_vectorised_by_gymnasium(kind):
    makers = [lambda: gymnasium.make("mario_envkit:MarioTrain-v0", level="1-1")] * 2
    envs = kind(makers)
    observations, infos = envs.reset(seed=[1, 2])
    assert observations.shape == (2, 4, 84, 84)
    single = makers[0]()
    expected, _ = single.reset(seed=1)
    for action in (3, 4, 1):
        observations, rewards, *_, infos = envs.step(np.array([action, 0]))
        expected, reward, *_ = single.step(action)
        assert np.array_equal(observations[0], expected)
        assert rewards[0] == reward
    assert infos["x_pos"][0] > infos["x_pos"][1]
    assert infos["reward_parts"]["distance"][0] > 0
    envs.close()


def test_recording_wrappers(tmp_path):
    env = make("MarioTrain-v0", render_mode="rgb_array", stall_limit=5)
    env = gymnasium.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda _: True)
    env = gymnasium.wrappers.RecordEpisodeStatistics(env)
    env.reset()
    truncated = False
    while not truncated:
        *_, truncated, info = env.step(0)
    env.close()
    assert info["episode"]["l"] == 5
    videos = list(tmp_path.glob("*.mp4"))
    assert len(videos) == 1
    assert videos[0].stat().st_size > 1000


def test_time_limit():
    env = gymnasium.make("MarioTrain-v0", max_episode_steps=3)
    env.reset()
    ends = [env.step(0)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def play(env, buttons):
    """Step until the episode ends or ``buttons`` do; the last info, and whether it ended."""
    for byte in buttons:
        *_, terminated, _, info = env.step(byte)
        if terminated:
            break
    return info, terminated


def test_causes_of_death():
    env = make("Mario-v0")
    env.reset()
    info, terminated = play(env, [128] * 300)  # walks into the first goomba
    assert (terminated, info["died"], info["death_cause"]) == (True, True, "enemy")
    assert info["life_lost"]
    env.reset()
    env.unwrapped.emulator.ram[0x07F8:0x07FB] = [0, 0, 1]
    info, terminated = play(env, [0] * 100)
    assert (terminated, info["death_cause"], info["time"]) == (True, "clock", 0)
    env.reset()
    env.unwrapped.emulator.ram[0x00B5] = 2  # below the screen, as in a pit
    info, terminated = play(env, [0])
    assert (terminated, info["death_cause"]) == (True, "pit")


def test_frames_count_up_from_the_beginning_of_the_level():
    env = make("MarioTrain-v0")
    assert env.reset()[1]["frame"] == 0
    assert [env.step(0)[4]["frame"] for _ in range(3)] == [4, 8, 12]
    full = make(f"mario_envkit/SuperMarioBros-{VERSION}")
    full.reset()
    info, frames = {"died": False}, []
    while not info["died"]:
        *_, terminated, _, info = full.step(128)
        frames.append(info["frame"])
    assert frames == list(range(1, len(frames) + 1))
    assert not terminated
    *_, info = full.step(0)
    assert info["frame"] == 1, "a new life begins the level anew"
    assert info["life"] == 1
