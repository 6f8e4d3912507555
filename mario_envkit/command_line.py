"""What every command line of this distribution does around its commands.

Its output may be a terminal of any encoding, a pipe whose reader has left, a full disk, or a
terminal that is gone. None of that is an error of the command, and none of it is a traceback:

* What the encoding of a stream does not have is shown as ``?``: frames and arrows, an umlaut in a
  path, the bytes of a file's name that are no text.
* Nobody reads the standard output any more (``| head -1``): the command ends, quietly, with status
  141. It cannot be written for another reason (``> /dev/full``): one sentence, status 2.
* What the standard error stream does not take is lost, and the command goes on: training must not
  end, and least of all while it saves, because the terminal was closed.
"""

from __future__ import annotations

import codecs
import io
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import list2cmdline
from typing import Any

from mario_envkit.errors import MarioEnvkitError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_READER_LEFT = 141
_KEEP_BYTES = "mario_envkit.keep_bytes"


def run_command(program: str, command: Callable[[], int | None]) -> int:
    """Run a command and answer for its errors; returns the exit status.

    0 or what ``command`` returns; 2 for an error, which is explained in one sentence on the
    standard error stream; 130 for Ctrl-C, or ``exit_status`` of the KeyboardInterrupt; 141 if
    nobody reads on.

    Args:
        program: its name, with which every sentence begins.
        command: does the work.

    Raises:
        SystemExit: as ``command`` does, unless its output could not be written.
    """
    with standard_streams() as output:
        try:
            try:
                status = command() or 0
            finally:
                sys.stdout.flush()  # after --help, too
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            problem = output.problem
            if isinstance(problem, BrokenPipeError):
                return EXIT_READER_LEFT
            if problem is not None:
                sentence = f"The output cannot be written: {problem.strerror}."
            elif isinstance(error, MarioEnvkitError):
                sentence = str(error)
            elif isinstance(error, OSError):
                sentence = in_words(error)
            elif isinstance(error, KeyboardInterrupt):
                print(f"{program}: stopped. {error}".rstrip(), file=sys.stderr)
                return int(getattr(error, "exit_status", EXIT_INTERRUPTED))
            else:
                raise
            print(f"{program}: {sentence}", file=sys.stderr)
            return EXIT_ERROR
    return status


def in_words(error: OSError) -> str:
    """What the operating system says, and about which file: a sentence."""
    reason = error.strerror or str(error) or type(error).__name__
    name = error.filename
    if name is None or isinstance(name, int):
        return f"{reason}."
    return f"{name.decode(errors='replace') if isinstance(name, bytes) else name}: {reason}."


def shell_words(*words: object) -> str:
    """A command as it can be pasted into a shell, whatever is in its words.

    Names that are no text are written byte by byte as ``$'...'``, which bash and zsh understand.
    """
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    try:
        word.encode()
    except UnicodeEncodeError:
        raw = word.encode(errors="surrogateescape")
        plain = (chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in raw)
        return f"$'{''.join(plain)}'"
    return list2cmdline([word]) if sys.platform == "win32" else shlex.quote(word)


def showable(text: str) -> str:
    """``text`` without what is in no encoding: the bytes of a file's name that are no text.

    Everything that is stored or sent as UTF-8 and may hold a path goes through this.
    """
    return text.encode(errors="replace").decode()


class _Descriptor(io.FileIO):
    """The descriptor of a standard stream, which stays open and remembers what went wrong.

    Args:
        descriptor: its number.
        losing: what cannot be written is lost, instead of an error.

    Attributes:
        problem: why the first thing that could not be written was not.
    """

    def __init__(self, descriptor: int, *, losing: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.losing = losing
        self.problem: OSError | None = None

    def write(self, data: Any) -> int:
        """See :class:`io.FileIO`."""
        try:
            return super().write(data) or 0
        except OSError as error:
            if self.problem is None:
                self.problem = error
            if not self.losing:
                raise
            return memoryview(data).nbytes


class StandardOutput:
    """How the standard output fares.

    Attributes:
        problem: why it could not be written, or None.
    """

    def __init__(self, descriptor: _Descriptor | None) -> None:
        self._descriptor = descriptor

    @property
    def problem(self) -> OSError | None:
        return None if self._descriptor is None else self._descriptor.problem


@contextmanager
def standard_streams() -> Iterator[StandardOutput]:
    """Standard streams as the module says, as long as the context lasts.

    Streams that are no files, such as those of a test or a notebook, stay what they are.
    """
    before = sys.stdout, sys.stderr
    formatter = warnings.formatwarning
    warnings.formatwarning = _formatted_by(formatter)
    output = _replaced("stdout", losing=False)
    _replaced("stderr", losing=True)
    try:
        yield StandardOutput(output)
    finally:
        if output is not None:
            output.losing = True  # whoever cares has looked at the problem by now
        for stream in (sys.stdout, sys.stderr):
            if stream not in before:
                stream.flush()
        sys.stdout, sys.stderr = before
        warnings.formatwarning = formatter


def _formatted_by(formatter: Callable[..., str]) -> Callable[..., str]:
    """Our warnings are for people, as one sentence; others say where they come from."""

    def formatted(message: Warning | str, category: type[Warning], *place: Any) -> str:
        ours = category.__module__.partition(".")[0] in ("mario_envkit", "mario_agents")
        return f"WARNING: {message}\n" if ours else formatter(message, category, *place)

    return formatted


def _replaced(name: str, *, losing: bool) -> _Descriptor | None:
    """Put another stream over the same descriptor in the place of ``sys.stdout`` or ``stderr``."""
    stream = getattr(sys, name)
    if stream is None:  # closed by whoever started us
        setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        return None
    if not isinstance(stream, io.TextIOWrapper):
        return None
    # In the C locale Python hands the bytes of names on as they are, and so do we.
    errors = _KEEP_BYTES if stream.errors in ("surrogateescape", _KEEP_BYTES) else "replace"
    try:
        stream.reconfigure(errors=errors)  # for whoever uses sys.__stderr__
        descriptor = _Descriptor(stream.fileno(), losing=losing)
    except OSError:  # no descriptor, or what was written before cannot be
        return None
    unbuffered: Any = descriptor  # python -u
    new = io.TextIOWrapper(
        unbuffered if stream.write_through else io.BufferedWriter(descriptor),
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    setattr(sys, name, new)
    return descriptor


def _keep_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Names that are no text byte by byte, and ``?`` for anything else that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    codes = map(ord, error.object[error.start : error.end])
    raw = bytes(code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else ord("?") for code in codes)
    return raw, error.end


codecs.register_error(_KEEP_BYTES, _keep_bytes)
