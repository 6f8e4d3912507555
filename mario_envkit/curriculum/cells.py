"""The archive of Go-Explore: places reached, how each was reached, and which to return to.

Source: Ecoffet et al. 2021, "First return, then explore", Nature 590, and the paper's Methods,
"Exploration phase".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Cell(NamedTuple):
    """States that count as the same place.

    Attributes:
        area: identity of the area.
        x, y: bucket across and band up.
        grounded: whether Mario stands on something. Whoever stands where others only fly has
            found a platform, a hidden block, or the height that a maze castle asks for.
        right, passed: pages of a maze passed rightly, and passed (world 7; else 0).
    """

    area: int
    x: int
    y: int
    grounded: bool
    right: int
    passed: int


class Trails:
    """Ways from the start, as a tree: every node is a joypad byte held after its parent."""

    def __init__(self) -> None:
        self._parents = [-1]
        self._holds = [(0, 0)]
        self._lengths = [0]

    def add(self, parent: int, buttons: int, frames: int) -> int:
        """A new node; returns its number. Node 0 is the start."""
        self._parents.append(parent)
        self._holds.append((buttons, frames))
        self._lengths.append(self._lengths[parent] + frames)
        return len(self._parents) - 1

    def length(self, node: int) -> int:
        """Frames from the start to the node."""
        return self._lengths[node]

    def actions(self, node: int) -> bytes:
        """The joypad bytes from the start to the node, one a frame."""
        holds = []
        while node > 0:
            holds.append(self._holds[node])
            node = self._parents[node]
        return b"".join(bytes([buttons]) * frames for buttons, frames in reversed(holds))


class Entry(NamedTuple):
    """How to get to a cell: the number of a saved environment, and a node of the trails."""

    saved: int
    node: int


class Cells:
    """Cells in the order in which they were discovered, and how often each was returned to.

    Args:
        start: the entry of the start.
        newest: how many of the latest discoveries form the frontier.
        frontier_share: how often the frontier alone is chosen from.
    """

    def __init__(self, start: Entry, newest: int = 32, frontier_share: float = 0.5) -> None:
        self._newest, self._frontier_share = newest, frontier_share
        self._places: dict[Cell, int] = {}
        self._entries = [start]
        self._weights = np.ones(1024)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, place: int) -> Entry:
        return self._entries[place]

    def find(self, cell: Cell) -> int | None:
        """The place of a cell in the archive, or None."""
        return self._places.get(cell)

    def add(self, cell: Cell, entry: Entry) -> None:
        """A cell that was not there yet."""
        place = len(self._entries)
        self._places[cell] = place
        self._entries.append(entry)
        if place == len(self._weights):
            self._weights = np.concatenate([self._weights, np.ones(place)])

    def replace(self, place: int, entry: Entry) -> None:
        """A better way to a cell."""
        self._entries[place] = entry

    def choose(self, rng: np.random.Generator) -> int:
        """The place to return to: rarely chosen ones, half the time from the frontier alone.

        A cell that was chosen n times weighs 1 / (n + 1).
        """
        count = len(self._entries)
        first = max(0, count - self._newest) if rng.random() < self._frontier_share else 0
        sums = np.cumsum(self._weights[first:count])
        place = first + int(np.searchsorted(sums[:-1], rng.random() * sums[-1], side="right"))
        self._weights[place] = 1 / (1 / self._weights[place] + 1)
        return place
