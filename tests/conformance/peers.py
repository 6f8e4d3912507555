"""The libraries that are tried, and what has to be installed for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True)
class Peer:
    """A library that is to train on the environments.

    Attributes:
        name: of the flag, and of the file of its tests.
        requirements: what pip installs; none where all of it comes with the tests anyway.
        distributions: those whose versions are told.
        free: of the packages that are held at the installed version, those that are not.
    """

    name: str
    requirements: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    free: frozenset[str] = frozenset()

    @property
    def tests(self) -> Path:
        """The file of its tests."""
        return INSIDE / f"{self.name}.py"


PEERS = {
    peer.name: peer
    for peer in (
        Peer("gymnasium", ("gymnasium[array-api]",), ("gymnasium",)),
        Peer("cleanrl", (), ("torch",)),
        Peer(
            "sb3",
            ("stable-baselines3>=2.9,<3", "sb3-contrib>=2.9,<3"),
            ("stable-baselines3", "sb3-contrib"),
        ),
        Peer("torchrl", ("torchrl>=0.14,<0.15",), ("torchrl", "tensordict")),
        # It wants a Gymnasium of its own.
        Peer("rllib", ("ray[rllib]==2.60.*",), ("ray",), frozenset({"gymnasium"})),
        Peer("tianshou", ("tianshou>=2,<3",), ("tianshou",)),
        Peer("minari", ("minari[create,hdf5]>=0.5,<0.6",), ("minari",)),
        Peer("sheeprl", ("sheeprl>=0.8,<0.9",), ("sheeprl",)),
    )
}
