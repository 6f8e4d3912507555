"""What Windows lacks and does otherwise, for modules of ours alone: :func:`pretend`.

The modules of ``mario_envkit`` and ``mario_agents``, and no others, see ``sys.platform == "win32"``
and a standard library without what it lacks there: modules such as ``fcntl``, names such as
``select.poll`` and ``os.getuid``, as typeshed (which mypy brings along) has it. Calls that fail
there fail here, see :class:`_Refusals`. The others, Python's own modules among them, see the system
that they are on: ``os.name`` decides while they are imported what :mod:`pathlib` and
:mod:`subprocess` are.

Not pretended: paths with drives and backslashes, the console, ``spawn``, and what libraries do.
"""

from __future__ import annotations

import ast
import builtins
import errno
import os
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OURS = ("mario_envkit", "mario_agents")


def pretend(root: Path) -> None:
    """Begin, in a process that has not imported any module of ours; it never ends.

    A text file that a module of ours opens without saying in which encoding raises
    :class:`EncodingWarning`, if Python was started with ``-X warn_default_encoding``: only files of
    Linux itself may be.

    Args:
        root: files below it cannot be replaced or removed while this process has them open.
    """
    assert not any(name.partition(".")[0] in OURS for name in sys.modules)
    warnings.filterwarnings("ignore", category=EncodingWarning)
    warnings.filterwarnings("error", category=EncodingWarning, module=r"mario_(envkit|agents)\b")
    for module in ("mario_envkit.vector.cores", "mario_agents.replay.memory"):
        warnings.filterwarnings("ignore", category=EncodingWarning, module=module)
    refusals = _Refusals(root.resolve())
    for name in ("replace", "rename"):
        setattr(os, name, refusals.of_open_files(getattr(os, name), 2))
    for name in ("unlink", "remove"):
        setattr(os, name, refusals.of_open_files(getattr(os, name), 1))
    replaced: dict[str, dict[str, object]] = {
        "sys": {"platform": "win32"},
        "os": {"name": "nt", "open": refusals.open, "fsync": refusals.fsync, "kill": refusals.kill},
        "platform": {"system": lambda: "Windows"},
        "multiprocessing": {"get_all_start_methods": lambda: ["spawn"]},
        "subprocess": {"Popen": _Popen},
    }
    real_import = builtins.__import__

    def seen(module: Any) -> Any:
        return _Seen(module, missing_names(module.__name__), replaced.get(module.__name__, {}))

    def import_(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        importer = str((globals or {}).get("__name__", ""))
        if level or importer.partition(".")[0] not in OURS:
            return real_import(name, globals, locals, fromlist, level)
        if name == "msvcrt":
            return _msvcrt()
        if name.partition(".")[0] not in sys.stdlib_module_names:
            return real_import(name, globals, locals, fromlist, level)
        if is_missing(name):
            raise ModuleNotFoundError(f"No module named {name!r} on Windows", name=name)
        return seen(real_import(name, globals, locals, fromlist, level))

    builtins.__import__ = import_


class _Seen(types.ModuleType):
    """A module of the standard library as it looks on Windows."""

    def __init__(
        self, module: types.ModuleType, missing: frozenset[str], replaced: Mapping[str, object]
    ) -> None:
        super().__init__(module.__name__)
        vars(self).update(_module=module, _missing=missing, _replaced=replaced)

    def __getattr__(self, name: str) -> Any:
        own = vars(self)
        if name in own["_missing"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return own["_replaced"].get(name, getattr(own["_module"], name))

    def __setattr__(self, name: str, value: object) -> None:
        setattr(vars(self)["_module"], name, value)


class _Popen(subprocess.Popen):  # type: ignore[type-arg]
    def __init__(self, *arguments: Any, **options: Any) -> None:
        if options.get("pass_fds") or options.get("preexec_fn"):
            raise ValueError("Windows hands no descriptors on and forks no processes")
        super().__init__(*arguments, **options)


class _Refusals:
    """Calls that fail on Windows.

    Args:
        root: see :func:`pretend`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open, self._fsync, self._kill = os.open, os.fsync, os.kill

    def open(self, path: Any, flags: int, *more: Any, **options: Any) -> int:
        """Directories cannot be opened."""
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return self._open(path, flags, *more, **options)

    def fsync(self, descriptor: int) -> None:
        """Nothing can be flushed that is open for reading only."""
        import fcntl

        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._fsync(descriptor)

    def kill(self, pid: int, number: int) -> None:
        """Whatever the signal, the process is ended, unsaved."""
        raise AssertionError(f"os.kill({pid}, {number}) ends a process at once on Windows")

    def of_open_files(self, call: Callable[..., None], paths: int) -> Callable[..., None]:
        """``call``, which changes what its first ``paths`` arguments name, unless it is open."""

        def refusing(*arguments: Any, **options: Any) -> None:
            for path in map(Path, arguments[:paths]):
                if self._root in path.absolute().parents and _is_open(path):
                    raise PermissionError(
                        errno.EACCES, "The process cannot access the file: it is open", str(path)
                    )
            call(*arguments, **options)

        return refusing


def _is_open(path: Path) -> bool:
    """Whether this process has a file open, or mapped into its memory."""
    name = str(path.parent.resolve() / path.name)
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    if any(line.endswith(f" {name}") for line in maps.splitlines()):
        return True
    for each in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(each) == name:
                return True
        except OSError:  # it was that of the directory itself
            continue
    return False


def _msvcrt() -> types.ModuleType:
    """The locks of Windows, made of Linux' own."""
    import fcntl

    module = types.ModuleType("msvcrt")

    def locking(descriptor: int, mode: int, size: int) -> None:
        assert mode == 2, "only LK_NBLCK is pretended"
        # An open file is an owner, as on Windows; record locks would be the process's.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None

    vars(module).update(locking=locking, LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2)
    return module


@cache
def is_missing(module: str) -> bool:
    """Whether Windows has no such module of the standard library."""
    here, there = (
        [name for name in _names(module, platform) if not name.startswith("_")]
        for platform in ("linux", "win32")
    )
    return module == "_posixshmem" or (bool(here) and not there)


@cache
def missing_names(module: str) -> frozenset[str]:
    """Names of a module of the standard library that it lacks on Windows."""
    return _names(module, "linux") - _names(module, "win32")


@cache
def _names(module: str, platform: str) -> frozenset[str]:
    """What a module of the standard library defines on a platform, as typeshed has it; modules that
    are not public are in no stub, and nothing is known of them."""
    spec = find_spec("mypy")
    assert spec is not None
    assert spec.origin is not None
    base = Path(spec.origin).parent.joinpath("typeshed", "stdlib", *module.split("."))
    stub = next((p for p in (base.with_suffix(".pyi"), base / "__init__.pyi") if p.is_file()), None)
    found: set[str] = set()
    if stub is not None:
        _define(ast.parse(stub.read_text(encoding="utf-8")).body, platform, found)
    return frozenset(found)


def _define(body: list[ast.stmt], platform: str, found: set[str]) -> None:
    for node in body:
        if isinstance(node, ast.If):
            branch = node.body if _holds(node.test, platform) else node.orelse
            _define(branch, platform, found)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            # "from X import name as name" is how stubs pass on a name.
            found.update(alias.name for alias in node.names if alias.asname == alias.name)
    found.discard("__all__")


def _holds(test: ast.expr, platform: str) -> bool:
    """Whether the test of a stub is true here and now, but for the platform."""
    code = compile(ast.Expression(test), "stub", "eval")
    system = types.SimpleNamespace(platform=platform, version_info=sys.version_info)
    return bool(eval(code, {"sys": system, "TYPE_CHECKING": True}))
