"""Turns Ctrl-C, SIGTERM and SIGHUP into stop requests that are obeyed between two updates."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_ASKING = {signal.SIGINT, signal.SIGTERM}
if sys.platform != "win32":
    _ASKING.add(signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; handled like Ctrl-C, with the exit status that shells expect."""

    exit_status = 128 + 15


class HungUp(KeyboardInterrupt):
    """SIGHUP arrived: the terminal was closed, or the connection to it broke."""

    exit_status = 128 + 1


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a process to stop, if somebody wants it to: ``nohup`` has SIGHUP
    ignored, and that holds."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return tuple(signals)


@contextmanager
def stop_signals_held() -> Iterator[None]:
    """Stop signals to this thread wait meanwhile, and those to processes that are started: they are
    to ignore or unblock them first."""
    if sys.platform == "win32":  # which holds no signal back, and has no processes of a run
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def ignore_stop_signals() -> None:
    """From now on this process, and those it starts, have no ear for them: the main process of a
    run asks everybody else to stop."""
    for number in _ASKING:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKING)


@contextmanager
def ended_with_parent() -> Iterator[None]:
    """Meanwhile this process ends as soon as its parent has, whatever it is doing."""
    parent, over = os.getppid(), threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if os.getppid() != parent:
                os._exit(1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class StopRequest:
    """While entered, the first SIGINT, SIGTERM or SIGHUP only sets :attr:`requested`.

    An exception out of nowhere could leave a half-made update in the checkpoint. A second SIGINT or
    SIGTERM raises at once, for a trainer that hangs; a closed terminal is told of more than once
    (by the shell, by the system) and by nobody who is impatient: SIGHUP is ignored from then on.
    Outside the main thread signals stay as they are.

    Args:
        at_once: the first one raises too: nothing has begun that it could leave half-made.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self._at_once = at_once
        self.requested = False
        self._signal: signal.Signals | None = None
        self._asked = 0
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            if number == self._signal and self._signal not in (signal.SIGINT, signal.SIGTERM):
                # The process is about to end, and is told so again while it closes its files.
                handler = signal.SIG_IGN
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signal = self._signal or signal.Signals(number)
        self.requested = True
        self._asked += number in (signal.SIGINT, signal.SIGTERM)
        if self._at_once or self._asked > 1:
            raise self.exception()

    def exception(self) -> KeyboardInterrupt:
        """What to raise once everything is saved; the command line knows what to say."""
        if self._signal is signal.SIGTERM:
            return Terminated()
        return KeyboardInterrupt() if self._signal in (None, signal.SIGINT) else HungUp()
