"""A virtual environment with a peer in it, above the packages of the one that runs the tests.

What is installed here, torch above all, is seen there and not installed again; the versions of
torch, NumPy and Gymnasium are held, so that pip never fetches a torch for CUDA because a peer asks
for some.
"""

from __future__ import annotations

import hashlib
import json
import re
import site
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.conformance.peers import Peer

HELD = ("torch", "numpy", "gymnasium")
"""Packages that stay what they are, unless a peer cannot live with that."""
UNWANTED = re.compile(r"torch|triton|nvidia-.*|cuda-.*", re.IGNORECASE)
"""Packages that no plan of pip may have in it."""


class InstallError(Exception):
    """A peer cannot be installed."""


def python_with(peer: Peer, folder: Path) -> Path:
    """The interpreter of an environment that has a peer, which is made if there is none yet.

    Args:
        peer: what to install.
        folder: where environments lie.

    Raises:
        InstallError: if pip refuses, or would bring another torch.
    """
    pins = [f"{name}=={version(name)}" for name in HELD if name not in peer.free]
    wanted = json.dumps([peer.requirements, pins, sys.executable, sys.version])
    home = folder / f"{peer.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    complete = home / "complete"
    if not complete.exists():
        venv.create(home, clear=True, symlinks=sys.platform != "win32")
        _share_packages(python)
        if peer.requirements:
            _install(python, peer.requirements, pins)
        complete.touch()
    return python


def versions(python: Path, distributions: tuple[str, ...]) -> str:
    """The versions of distributions that ``python`` sees, such as ``ray 2.60.0``."""
    code = (
        "import sys; from importlib.metadata import version; "
        "print(', '.join(f'{name} {version(name)}' for name in sys.argv[1:]))"
    )
    return _run([str(python), "-c", code, *distributions]).strip()


def _share_packages(python: Path) -> None:
    """Let the environment see the packages of this one, behind its own.

    Not ``--system-site-packages``: that shows those of the Python below, and this may be a virtual
    environment. Warnings of our packages are errors in all processes, in workers of a peer too.
    """
    shared = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        shared.append(site.getusersitepackages())
    lines = (
        *(f"import site; site.addsitedir({path!r})" for path in shared),
        "import warnings; warnings.filterwarnings('error', module=r'mario_(envkit|agents)(\\.|$)')",
    )
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(_run([str(python), "-c", code]).strip())
    (packages / "zz_shared.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _install(python: Path, requirements: tuple[str, ...], pins: list[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q"]
    wanted = [*requirements, *pins]
    report: dict[str, Any] = json.loads(_run([*pip, "--dry-run", "--report", "-", *wanted]))
    names = [item["metadata"]["name"] for item in report["install"]]
    unwanted = [name for name in names if UNWANTED.fullmatch(name)]
    if unwanted:
        raise InstallError(
            f"pip would install {', '.join(unwanted)} for {', '.join(requirements)}; "
            "peers are tried with the installed torch."
        )
    _run([*pip, *wanted])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def can_install() -> bool:
    """Whether there is a pip to install with."""
    try:
        return bool(version("pip"))
    except PackageNotFoundError:
        return False
