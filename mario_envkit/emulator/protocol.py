"""What a console is, whoever emulates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mario_envkit.emulator.picture import Picture
    from mario_envkit.emulator.snapshot import Snapshot

SCREEN_HEIGHT = 240
SCREEN_WIDTH = 256
RAM_SIZE = 0x800


@runtime_checkable
class Emulator(Protocol):
    """One NES with one cartridge in it.

    Deterministic: the same power-on, buttons and RAM writes give the same machine, always.
    Several threads may use it, one call after the other; ``ram`` can change at any time then.
    """

    core: str
    """Which emulation this is, and its timing ("native/console"): snapshots carry it."""

    rom_sha256: str
    """SHA-256 of the cartridge image file, hex."""

    def reset(self) -> None:
        """Power on."""

    def step(self, buttons: int, frames: int = 1, *, render: bool = True) -> None:
        """Hold ``buttons`` (see :class:`Buttons`) on joypad 1 for ``frames`` frames.

        ``render`` is a hint: say False when nobody will look at the last of these frames. The
        picture is right either way; guessing wrong costs time only.
        """

    def screen(self, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The current picture as RGB, ``(240, 256, 3)`` uint8: a copy, or ``out`` filled."""

    def observe(self, picture: Picture, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The current picture as ``picture`` describes it: a copy, or ``out`` filled."""

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The 2,048 bytes of work RAM: a live view, whose writes reach the machine."""

    def save(self) -> Snapshot:
        """The machine, as a value."""

    def load(self, snapshot: Snapshot) -> None:
        """Become the machine that was saved.

        Raises:
            SnapshotMismatch: for another core or cartridge, or damaged bytes; this machine is
                left as it was.
        """

    def close(self) -> None:
        """Free the machine. Closing twice is harmless."""
