"""A link between two network namespaces that delays and loses frames, and can be cut.

Not every kernel has netem. Here each end is a TAP device, and a thread carries frames from one to
the other. It needs root.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from contextlib import suppress
from typing import NamedTuple

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_MOST_BYTES = 65_536
LOOK_SECONDS = 0.5


class _Frame(NamedTuple):
    due: float
    number: int
    end: int
    content: bytes


class SlowLink:
    """Two TAP devices in this process's namespace, to be moved to others.

    Args:
        names: of the devices.
        delay: seconds that a frame takes.
        loss: share of the frames that are lost.

    Attributes:
        cut: whether all are.
        carried, lost: frames so far.
    """

    def __init__(self, names: tuple[str, str], *, delay: float, loss: float) -> None:
        self.cut, self.carried, self.lost = False, 0, 0
        self._delay, self._loss, self._random = delay, loss, random.Random(0)
        self._ends = [_tap(name) for name in names]
        self._others = dict(zip(self._ends, reversed(self._ends), strict=True))
        self._waiting: list[_Frame] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Carry nothing any more; the devices are gone then."""
        self._over.set()
        self._thread.join()
        for end in self._ends:
            os.close(end)

    def _carry(self) -> None:
        while not self._over.is_set():
            left = self._waiting[0].due - time.monotonic() if self._waiting else LOOK_SECONDS
            ready, _, _ = select.select(self._ends, [], [], max(min(left, LOOK_SECONDS), 0.0))
            for end in ready:
                with suppress(OSError):  # the device is down
                    self._take(self._others[end], os.read(end, _MOST_BYTES))
            while self._waiting and self._waiting[0].due <= time.monotonic():
                frame = heapq.heappop(self._waiting)
                with suppress(OSError):
                    os.write(frame.end, frame.content)

    def _take(self, end: int, content: bytes) -> None:
        self.carried += 1
        if self.cut or self._random.random() < self._loss:
            self.lost += 1
            return
        frame = _Frame(time.monotonic() + self._delay, self.carried, end, content)
        heapq.heappush(self._waiting, frame)


def _tap(name: str) -> int:
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return end
