"""What a result depends on besides the agent: versions, the cartridge, the code that decides."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

import mario_agents
import mario_envkit
from mario_agents.acting.environments import make_env
from mario_agents.evaluation.result_file import (
    SCHEMA,
    AgentRecord,
    GameRecord,
    MadeRecord,
    TrainingRecord,
    as_text,
)
from mario_envkit.emulator import native
from mario_envkit.files import sha256_of

PACKAGES = ("mario-envkit", "torch", "gymnasium", "numpy", "gym-super-mario-bros")
_DECIDES = ("acting", "evaluation")
"""Folders of ``mario_agents`` whose code decides what an episode was."""
_NOT_THE_AGENTS = (
    "level", "noop_max", "repeat_action_probability", "repeat_frame_probability", "rom"
)  # fmt: skip
"""Arguments of environments that a measurement decides, and a path, which nobody else has."""


def versions() -> dict[str, str]:
    """Versions of what took part, Python's among them; without what is not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def git_revision() -> str:
    """The commit of the checkout that this code is from, with ``-dirty`` if files of it were
    changed; "" if it is none."""
    root = Path(mario_envkit.__file__).parents[1]
    if not (root / ".git").exists():  # whatever project is around an installed package
        return ""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, encoding="utf-8", timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def code_sha256() -> str:
    """SHA-256 of the Python code that decides results: the kit's, and how episodes are played and
    counted. Ends of lines, which differ between systems, do not count."""
    kit, agents = Path(mario_envkit.__file__).parent, Path(mario_agents.__file__).parent
    folders = [kit, *(agents / name for name in _DECIDES)]
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py"), key=lambda path: path.as_posix()):
            code = path.read_bytes().replace(b"\r\n", b"\n")
            name = path.relative_to(folder).as_posix()
            digest.update(f"{folder.name}/{name} {len(code)}\n".encode() + code)
    return digest.hexdigest()


def circumstances(
    agent: AgentRecord,
    training: TrainingRecord,
    env_kwargs: Mapping[str, Any],
    *,
    on: str,
    seconds: float,
    machine: str,
) -> dict[str, Any]:
    """What a result says about who played what, and how, as JSON-able values.

    Args:
        agent: who.
        training: how much it was trained.
        env_kwargs: keyword arguments of ``MarioTrain-v0`` under which it played.
        on: the package in which the game was played.
        seconds: how long that took.
        machine: on which one, in words.

    Raises:
        MarioEnvkitError: if the environment cannot be made.
    """
    game = game_record(env_kwargs)
    if on != "mario-envkit":  # its own image and console
        game = msgspec.structs.replace(game, rom_sha256="", core="", native_sha256="")
    made = MadeRecord(
        at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        machine=as_text(machine),
        versions=versions(),
        revision=git_revision(),
    )
    options = {name: value for name, value in env_kwargs.items() if name not in _NOT_THE_AGENTS}
    return {
        "schema": SCHEMA,
        "agent": msgspec.to_builtins(agent),
        "on": on,
        "training": msgspec.to_builtins(training),
        "game": msgspec.to_builtins(game),
        "made": msgspec.to_builtins(made),
        # Reward functions and the like are no JSON.
        "env": json.loads(json.dumps(options, default=str)),
    }


def game_record(env_kwargs: Mapping[str, Any]) -> GameRecord:
    """What is played under these keyword arguments of ``MarioTrain-v0``.

    Raises:
        MarioEnvkitError: if the environment cannot be made.
    """
    env = make_env(env_kwargs)
    try:
        # Environments of other packages have no console that we could name.
        emulator = getattr(env.unwrapped, "emulator", None)
        return GameRecord(
            name=str(getattr(env.unwrapped, "game", "")),
            rom_sha256=getattr(emulator, "rom_sha256", ""),
            core=getattr(emulator, "core", ""),
            native_sha256=_native_sha256(),
            code_sha256=code_sha256(),
        )
    finally:
        env.close()


def _native_sha256() -> str:
    """Of the compiled core, which differs between systems and compilers; "" without one."""
    if not native.is_available():
        return ""
    import mario_envkit._native as core

    return sha256_of(Path(core.__file__)) if core.__file__ else ""
