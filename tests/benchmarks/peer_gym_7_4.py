"""The usual stack on gym-super-mario-bros 7.4; runs in a virtual environment of its own.

Reads seconds to play for, one number a line, from stdin; answers each with a JSON object.
"""

import json
import sys
import time
import warnings
from collections import deque

warnings.simplefilter("ignore")

import cv2  # noqa: E402
import gym_super_mario_bros  # noqa: E402
import numpy as np  # noqa: E402
from gym_super_mario_bros.actions import SIMPLE_MOVEMENT  # noqa: E402
from nes_py.wrappers import JoypadSpace  # noqa: E402


class Usual:
    """Frame skip 4, 84 x 84 grey by OpenCV, a stack of 4: what the tutorials do.

    Plain classes: gym 0.26's own wrappers expect another interface than 7.4 offers.
    """

    def __init__(self, env):
        self.env = env
        self.frames = deque(maxlen=4)

    def reset(self):
        self.frames.extend([self.shrink(self.env.reset())] * 4)
        return np.stack(self.frames)

    def step(self, action):
        total = 0.0
        for _ in range(4):
            observation, reward, done, info = self.env.step(action)
            total += reward
            if done:
                break
        self.frames.append(self.shrink(observation))
        return np.stack(self.frames), total, done, info

    @staticmethod
    def shrink(observation):
        grey = cv2.cvtColor(observation, cv2.COLOR_RGB2GRAY)
        return cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA)


def rate(env, pick, seconds):
    """Steps a second of random play."""
    steps, done = 0, True
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(25):
            if done:
                env.reset()
            observation, _, done, _ = env.step(pick())
            np.asarray(observation)
            steps += 1
    return steps / (time.perf_counter() - start)


def main():
    rng = np.random.default_rng(0)
    raw = gym_super_mario_bros.SuperMarioBrosEnv(target=(1, 1))
    stack = gym_super_mario_bros.SuperMarioBrosEnv(target=(1, 1))
    stack = Usual(JoypadSpace(stack, SIMPLE_MOVEMENT))
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = float(line)
        figures = {
            "frames": rate(raw, lambda: int(rng.choice([128, 129, 130, 131])), seconds),
            "agent_steps": rate(stack, lambda: int(rng.integers(1, 5)), seconds),
        }
        print(json.dumps(figures), flush=True)


main()
