"""What tile pictures show beside the grid and the facts about Mario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.arguments import as_bool
from mario_envkit.errors import OptionError
from mario_envkit.game.tiles import read_tiles


@dataclass(frozen=True, slots=True)
class TileOptions:
    """What is shown of what ``observation="tiles"`` may leave out.

    Attributes:
        show_buttons: which buttons the game has read last.
        show_level: in which level Mario is.
    """

    show_buttons: bool
    show_level: bool

    @classmethod
    def of(cls, observation: str, *, show_buttons: Any, show_level: Any) -> TileOptions:
        """The options of an environment with such observations.

        Raises:
            OptionError: if one of them is no truth value, or is True for other observations.
        """
        options = cls(as_bool("show_buttons", show_buttons), as_bool("show_level", show_level))
        for name in options.shown() if observation != "tiles" else ():
            raise OptionError(
                f'{name}=True is for observation="tiles"; leave it out, or give that.'
            )
        return options

    def shown(self) -> dict[str, bool]:
        """Those that are True."""
        return {name: True for name, shown in asdict(self).items() if shown}

    def read(self, ram: Sequence[int] | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The tile picture of 2,048 bytes of work RAM: ``(16, 16)`` uint8."""
        return read_tiles(ram, show_buttons=self.show_buttons, show_level=self.show_level)
