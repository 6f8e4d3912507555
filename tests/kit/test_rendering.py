"""Pictures, windows and keys, as Gymnasium's tools ask for them."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest

from mario_envkit.emulator.backends import available_backends
from mario_envkit.emulator.buttons import Buttons
from mario_envkit.env import MarioEnv
from mario_envkit.errors import WindowClosed

IDS = ["Mario-v0", "MarioTrain-v0", "MarioTiles-v0", "MarioSnapshot-v0",
       "mario_envkit/SuperMarioBros-1-1-v0"]  # fmt: skip


@pytest.fixture
def pygame(monkeypatch):
    module = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield module
    module.display.quit()


@pytest.mark.parametrize("env_id", IDS)
def test_lists_of_pictures(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is out of date.*")
        env = gymnasium.make(env_id, render_mode="rgb_array_list")
        env.reset(seed=0)
        env.step(1)
        pictures = env.render()
    assert env.render_mode == "rgb_array_list"
    assert [picture.shape for picture in pictures] == [(240, 256, 3)] * 2
    assert np.array_equal(pictures[1], env.unwrapped.emulator.screen())


def test_of_two_windows_one_is_closed(pygame):
    one, two = (gymnasium.make("Mario-v0", render_mode="human") for _ in range(2))
    one.reset(seed=0)
    two.reset(seed=0)
    assert pygame.display.get_surface().get_size() == (2 * 768, 720)  # side by side
    for env in (one, two):
        env.step(128)
    screen = pygame.surfarray.array3d(pygame.display.get_surface())
    assert screen[:768].any()
    assert np.array_equal(screen[:768], screen[768:])
    one.close()
    one.close()
    for _ in range(2):
        two.step(128)
    assert pygame.display.get_surface().get_size() == (768, 720)
    third = gymnasium.make("Mario-v0", render_mode="human")
    third.reset()
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    for env in (third, two):  # whoever sees the event, all of them are closed
        with pytest.raises(WindowClosed):
            env.step(0)
    two.close()
    assert pygame.display.get_init()
    third.close()
    assert not pygame.display.get_init()


def test_a_window_that_another_library_closed_opens_again(pygame):
    env = gymnasium.make("Mario-v0", render_mode="human")
    env.reset()
    pygame.quit()
    env.step(0)
    pygame.display.set_mode((10, 10))
    env.step(0)
    assert pygame.display.get_surface().get_size() == (768, 720)
    env.close()


def test_keys_of_actions(pygame):
    from gymnasium.utils.play import PlayableGame

    keys = MarioEnv().get_keys_to_action()
    assert len(keys) == 256
    assert keys[()] == 0
    held = tuple(sorted((pygame.K_RIGHT, pygame.K_x, pygame.K_z)))
    assert keys[held] == Buttons.RIGHT | Buttons.A | Buttons.B
    env = gymnasium.make("MarioTrain-v0", render_mode="rgb_array")
    keys = env.get_wrapper_attr("get_keys_to_action")()
    assert sorted(keys.values()) == list(range(7))
    assert env.get_wrapper_attr("get_action_meanings")()[keys[held]] == "A+B+RIGHT"
    env.reset()
    game = PlayableGame(env)
    assert {pygame.K_RIGHT, pygame.K_LEFT, pygame.K_x, pygame.K_z} == game.relevant_keys


@pytest.mark.parametrize("backend", available_backends())
def test_the_ram_of_7_4(backend):
    env = gymnasium.make("Mario-v0", backend=backend)
    env.reset()
    ram = env.unwrapped.ram
    assert (ram.shape, ram.dtype) == ((2048,), np.uint8)
    assert ram[0x075A] == 2  # lives left
    ram[0x075A] = 7
    assert env.step(128)[4]["life"] == 7
    before = ram[0x86]  # x on its page
    for _ in range(30):
        env.step(128)
    assert ram[0x86] != before
    env.close()
