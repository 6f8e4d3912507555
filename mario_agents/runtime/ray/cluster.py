"""Joining a Ray cluster."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from mario_envkit.errors import ConfigError, OptionError, RunError
from mario_envkit.vector.cores import available_cores

CONNECT_SECONDS = 5.0
"""Time that the head of a cluster has to take a connection; Ray itself would try for a minute."""
TOKEN_HINT = "if it has a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the same"
"""Of a wrong token Ray says no more than that it cannot connect."""
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class JoinedCluster:
    """The cluster of a run.

    Attributes:
        home: id of the node that this process is on, where the run directory is.
        host: address by which other nodes reach this machine.
    """

    home: str
    host: str


def require_ray() -> None:
    """Complain if Ray is not installed.

    Raises:
        OptionError: how to install it.
    """
    if find_spec("ray") is None:
        raise OptionError('--engine ray needs the package ray: pip install "mario-envkit[ray]".')


@contextmanager
def joined(address: str | None, *, cpus: float, runtime_env: str | None) -> Iterator[JoinedCluster]:
    """A connection to a cluster, or to one made for this command alone.

    At the end it is closed, and what this process started in the cluster ends with it. A process
    that is connected already stays so.

    Args:
        address: HOST:PORT or auto; None is what ``RAY_ADDRESS`` says, or a cluster of its own.
        cpus: that one of its own has at least.
        runtime_env: YAML file of a runtime environment, or None.

    Raises:
        OptionError: if Ray is not installed.
        RunError: if there is no such cluster, or it does not let us in.
    """
    require_ray()
    import ray

    before = ray.is_initialized()
    own = not before and _connect(address, cpus, runtime_env)
    try:
        host = LOOPBACK if own else ray.util.get_node_ip_address()
        yield JoinedCluster(ray.get_runtime_context().get_node_id(), host)
    finally:
        if not before:
            ray.shutdown()


def _connect(address: str | None, cpus: float, environment: str | None) -> bool:
    """Connect this process; returns whether to a cluster of its own, on this machine alone."""
    import ray

    address = address or os.environ.get("RAY_ADDRESS") or "local"
    kwargs: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        # It is for this command alone: what is asked for is there, as processes would be.
        kwargs |= {
            "num_cpus": max(available_cores(), int(cpus) + 1),
            "include_dashboard": False,
            # Of a cluster for others that is theirs to say: by itself Ray is nice to all others.
            "_system_config": {"worker_niceness": 0},
        }
    elif address != "auto":
        look_for(address)
    if environment is not None:
        kwargs["runtime_env"] = runtime_env(Path(environment))
    with _signals_kept():
        try:
            ray.init(**kwargs)
        except ray.exceptions.AuthenticationError as error:
            raise RunError(
                f"The Ray cluster at {address} does not let us in: set RAY_AUTH_MODE=token, and "
                "RAY_AUTH_TOKEN to the token it was started with."
            ) from error
        except Exception as error:
            first = " ".join(str(error).split()) or type(error).__name__
            hint = "" if address == "local" else f" ({TOKEN_HINT})"
            raise RunError(
                f"Cannot join the Ray cluster at {address}{hint}: {first[:500]}"
            ) from error
    return address == "local"


def look_for(address: str) -> None:
    """See whether somebody listens at an address: Ray would try for a minute, and say more.

    Raises:
        ConfigError: if it is none.
        RunError: if nobody does.
    """
    host, _, port = address.rpartition(":")
    try:
        number = int(port)
        if not 0 < number < 1 << 16:
            raise ValueError(port)
        with socket.create_connection((host.strip("[]"), number), CONNECT_SECONDS):
            return
    except ValueError:
        raise ConfigError(
            f"The address of a Ray cluster is HOST:PORT or auto, and not {address!r}."
        ) from None
    except OSError as error:
        raise RunError(
            f"Nobody answers at {address} ({error.strerror or error}): start the cluster with "
            "'ray start --head', or give the address that this prints."
        ) from error


def runtime_env(path: Path) -> dict[str, Any]:
    """What a file says of a runtime environment.

    Raises:
        ConfigError: if it says nothing of the kind.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"The runtime environment {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"The runtime environment {path} must be a mapping, such as env_vars.")
    return found


@contextmanager
def _signals_kept() -> Iterator[None]:
    """What Ray starts has no ear for Ctrl-C or a closed terminal, which are for this process, and
    this process's own ways to hear of them stay as they are."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
