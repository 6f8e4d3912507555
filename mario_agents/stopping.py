"""Ctrl-C and SIGTERM as requests that a trainer can obey between two updates."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; handled like Ctrl-C, with the exit status that shells expect."""


class StopRequest:
    """While entered, the first SIGINT or SIGTERM only sets :attr:`requested`.

    An exception out of nowhere could leave a half-made update in the checkpoint. A second signal
    raises at once, for a trainer that hangs. Outside the main thread signals stay as they are.
    """

    def __init__(self) -> None:
        self.requested = False
        self._signal = signal.SIGINT
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number)
        if self.requested:
            raise self.exception()
        self.requested = True

    def exception(self) -> KeyboardInterrupt:
        """What to raise once everything is saved; the command line knows what to say."""
        return Terminated() if self._signal is signal.SIGTERM else KeyboardInterrupt()
