"""Plays gym-super-mario-bros in a Python of its own; see ``original.py``, which starts it.

It must run where nothing of ours is installed: only that package, NumPy and the standard library.
Requests are two bytes: "r" reset or "s" step, and the joypad byte. An answer is the length of a
JSON text as four bytes, the text, 2,048 bytes of RAM, and 240 x 256 x 3 bytes of RGB if the
command line asked for pictures.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import warnings
from typing import Any

KEYS = ("coins", "flag_get", "life", "score", "stage", "time", "world", "x_pos", "y_pos")


def make_env(game: str, level: str) -> tuple[Any, str]:
    """The bare environment of the package, straight from its class, and the package's version."""
    warnings.simplefilter("ignore")
    from importlib.metadata import version

    from gym_super_mario_bros.smb_env import SuperMarioBrosEnv

    found = version("gym-super-mario-bros")
    target = None if level == "full" else tuple(int(part) for part in level.split("-"))
    kind = ending_with_the_last_axe(SuperMarioBrosEnv, 4 if game == "lost_levels" else 8)
    return kind(lost_levels=game == "lost_levels", target=target), found


def ending_with_the_last_axe(kind: Any, last_world: int) -> Any:
    """The package's class, but for one thing: the full game ends when it is won.

    In the package it goes on to the next world, and looks for that one for ever.
    """
    # How often an episode is asked about: in 7.4 by this name, in 9.x by the other.
    name = next((n for n in ("_get_terminated", "_get_done") if hasattr(kind, n)), None)
    if name is None:
        return kind
    is_over = getattr(kind, name)

    def is_over_or_won(self: Any) -> bool:
        won = self.ram[0x0770] == 2 and self.ram[0x075F] + 1 >= last_world
        return bool(is_over(self) or won)

    return type(kind.__name__, (kind,), {name: is_over_or_won})


def facts_of(info: dict[str, Any]) -> dict[str, int]:
    """The numbers of an info; the name of the power-up is in the RAM as well."""
    return {key: int(info[key]) for key in KEYS if key in info}


def main() -> None:
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the packages print must not get between the answers

    def answer(text: dict[str, Any], *arrays: Any) -> None:
        body = json.dumps(text).encode()
        pipe.write(struct.pack("<I", len(body)) + body)
        for array in arrays:
            pipe.write(array.tobytes())
        pipe.flush()

    game, level, pictures = sys.argv[1], sys.argv[2], sys.argv[3] == "pictures"
    try:
        env, found = make_env(game, level)
        env.reset()
        env.step(0)  # 7.4 on NumPy 2 fails here
    except Exception as error:
        answer({"error": "%s: %s" % (type(error).__name__, error)})  # noqa: UP031
        return
    answer({"version": found})
    while True:
        request = sys.stdin.buffer.read(2)
        if len(request) < 2:
            return
        if request[:1] == b"r":
            result = env.reset()
            screen = result[0] if isinstance(result, tuple) else result
            text = {"reward": 0.0, "done": False, "info": facts_of(env._get_info())}
        else:
            screen, reward, done, *rest = env.step(request[1])
            text = {"reward": float(reward), "done": bool(done), "info": facts_of(rest[-1])}
        answer(text, env.ram, *([screen] if pictures else []))


if __name__ == "__main__":
    main()
