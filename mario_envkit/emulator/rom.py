"""Cartridge images: found by what they are (SHA-256), never by what they are called.

A cartridge is its program and its graphics. The header of a file, and whatever else is in it, say
nothing of that: the hash is the one of a clean image, see :mod:`mario_envkit.emulator.ines`.

This distribution contains no game. It finds the images inside the installed
``gym-super-mario-bros`` package, whose versions name the same files differently, or takes one that
the user owns (``rom=PATH``, or the environment variable ``MARIO_ENVKIT_ROM``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from mario_envkit.arguments import as_choice, as_path
from mario_envkit.emulator.ines import (
    GRAPHICS_BANK,
    HEADER_SIZE,
    PROGRAM_BANK,
    Header,
    clean_image,
    possible_images,
)
from mario_envkit.errors import RomError

ROM_VARIABLE = "MARIO_ENVKIT_ROM"
GAMES = ("smb", "lost_levels")

UNKNOWN = "unknown"
"""The variant of an image that is not known."""
UNKNOWN_CHOICES = ("refuse", "allow")
"""What to do with an image that is not known: the values of ``rom_unknown``."""

_MOST_BYTES = 16 << 20
"""No cartridge has as much, and a device such as /dev/zero never ends."""


@dataclass(frozen=True, slots=True)
class KnownRom:
    """A cartridge image that the kit has been tested with.

    Attributes:
        game: "smb" or "lost_levels".
        variant: "vanilla", a graphics variant of gym-super-mario-bros 7.4, or "cartridge", the
            one of 1985, which no package ships: its program differs from the vanilla one's.
    """

    game: str
    variant: str


KNOWN_ROMS = {
    "ec299b990e8bfee8ba46e3f61d63b2e1ae5b8a2e431de84e2e4bbd692dc53586": KnownRom("smb", "vanilla"),
    "b65e7d0fb62d39926b67b612bb94b1c355a5f9e81c0851e3f878c0ec50b8a9df": KnownRom(
        "smb", "downsample"
    ),
    "7af609a7548041c0339332570e96a7d2ab38821576014d4bce017e9337b1dfe9": KnownRom("smb", "pixel"),
    "1a8fd5e429707999f267e2eba4ab1adb24890c32da48d420d08a5980ac48b66a": KnownRom(
        "smb", "rectangle"
    ),
    "f61548fdf1670cffefcc4f0b7bdcdd9eaba0c226e3b74f8666071496988248de": KnownRom(
        "smb", "cartridge"
    ),
    "d133358f74e8ac78b7f61259866428770da6b84bf5dcd3645e47fc962c5ba45f": KnownRom(
        "lost_levels", "vanilla"
    ),
    "6264197fefa488629c1f64b8c7f7f043e4dbf0b3f0fd335699a85a028c13bef4": KnownRom(
        "lost_levels", "downsample"
    ),
}
VARIANTS = {
    "smb": ("vanilla", "downsample", "pixel", "rectangle"),
    "lost_levels": ("vanilla", "downsample"),
}
"""Graphics variants in the order in which 7.4 numbers its ids (v0, v1...)."""


@dataclass(frozen=True, slots=True)
class Rom:
    """A cartridge image that was read and checked.

    Attributes:
        path: the file it came from.
        data: a clean image: a plain header, the program, the graphics.
        sha256: of ``data``, hex; of a known image that of its usual file.
        game: "smb" or "lost_levels".
        variant: see :class:`KnownRom`; "unknown" for an image that is not known.
        clean: whether the file holds ``data`` and nothing else.
    """

    path: Path
    data: bytes
    sha256: str
    game: str
    variant: str
    clean: bool = True

    @property
    def program(self) -> bytes:
        """The 32 kB that the processor sees from 0x8000 on."""
        program = self.data[HEADER_SIZE:-GRAPHICS_BANK]
        return program * (2 * PROGRAM_BANK // len(program))


def read_rom(path: str | os.PathLike[str], unknown: str = "refuse", *, game: str = "smb") -> Rom:
    """Read a cartridge image and recognise it, whatever its header says.

    Args:
        path: of an iNES or NES 2.0 file.
        unknown: "refuse", or "allow": take an image of the same type (NROM) that is not known, such
            as a hack of Super Mario Bros, for ``game``.
        game: see there.

    Raises:
        OptionError: if ``unknown`` or ``game`` is none of these.
        RomError: if the file cannot be read, is damaged, or is no game we know.
    """
    path = as_path("rom", path)
    unknown, game = (
        as_choice("rom_unknown", unknown, UNKNOWN_CHOICES),
        as_choice("game", game, GAMES),
    )
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise RomError(
            f"The ROM {path} cannot be read ({error.strerror or error}); give the path of a "
            "readable .nes file."
        ) from error
    if len(data) > _MOST_BYTES:
        raise RomError(
            f"{path} is not a cartridge image: it has more than {_MOST_BYTES >> 20} MB; give the "
            "path of an iNES (.nes) file."
        )
    if data[:4] != b"NES\x1a":
        raise RomError(
            f"{path} is not a cartridge image: it should start with the four bytes 'NES<1A>'; "
            "give the path of an iNES (.nes) file."
        )
    for image in possible_images(data):
        sha256 = hashlib.sha256(image).hexdigest()
        known = KNOWN_ROMS.get(sha256)
        if known is not None:
            return Rom(path, image, sha256, known.game, known.variant, clean=image == data)
    image = _unknown_image(path, data)
    sha256 = hashlib.sha256(image).hexdigest()
    if unknown == "refuse":
        raise RomError(
            f"{path} is no version of Super Mario Bros that is known here (SHA-256 {sha256}): it "
            "is damaged, changed or another game; use the image that gym-super-mario-bros installs "
            "or one of the 1985 cartridge, or try this one with rom_unknown='allow' "
            "(--rom-unknown allow)."
        )
    return Rom(path, image, sha256, game, UNKNOWN, clean=image == data)


def _unknown_image(path: Path, data: bytes) -> bytes:
    """The clean image of a cartridge of the type NROM, by its header."""
    if len(data) < HEADER_SIZE:
        raise RomError(f"{path} is damaged: it ends within its header; use an intact copy.")
    header = Header.read(data)
    if header.mapper:
        raise RomError(
            f"{path} is of a cartridge with mapper {header.mapper_name}, and Super Mario Bros has "
            "mapper 0 (NROM); give an image of that game."
        )
    if len(data) < header.end:
        raise RomError(
            f"{path} is damaged: its header promises {header.end} bytes and it has {len(data)}; "
            "use an intact copy."
        )
    if header.program not in (PROGRAM_BANK, 2 * PROGRAM_BANK) or header.graphics != GRAPHICS_BANK:
        raise RomError(
            f"{path} has {header.program >> 10} kB of program and {header.graphics >> 10} kB of "
            "graphics, and a cartridge of the type NROM has 16 or 32 and 8; give an image of Super "
            "Mario Bros."
        )
    return clean_image(data[header.begin : header.end], header.program, header.wiring)


def find_rom(
    game: str = "smb",
    variant: str = "vanilla",
    rom: str | os.PathLike[str] | None = None,
    unknown: str = "refuse",
) -> Rom:
    """The image of a game: ``rom`` if given, else ``$MARIO_ENVKIT_ROM``, else an installed one.

    Args:
        game: "smb" or "lost_levels".
        variant: which of the graphics variants of gym-super-mario-bros 7.4.
        rom: path of an image to use instead.
        unknown: what to do if that (or what the variable names) is not known, see
            :func:`read_rom`.

    Raises:
        OptionError: if there is no such game or variant.
        RomError: if there is no such image, or it is damaged or another game.
    """
    game = as_choice("game", game, GAMES)
    variant = as_choice("rom_variant", variant, VARIANTS[game])
    unknown = as_choice("rom_unknown", unknown, UNKNOWN_CHOICES)
    if rom is not None:
        rom = as_path("rom", rom)
    chosen = rom or (os.environ.get(ROM_VARIABLE) if variant == "vanilla" else None)
    if chosen:
        found = read_rom(chosen, unknown, game=game)
        if found.game == game:
            return found
        if rom:
            raise RomError(
                f"{chosen} holds the game {found.game!r} and {game!r} was asked for; "
                f"pass game={found.game!r} or another ROM."
            )
    for found in installed_roms():
        if (found.game, found.variant) == (game, variant):
            return found
    if variant != "vanilla":
        raise RomError(
            f"The {variant} graphics of {game} (ids ending in -v{VARIANTS[game].index(variant)}) "
            "ship with gym-super-mario-bros 7.4 only, which installs on Python below 3.13: take "
            "rom_variant='vanilla' (-v0), or an older Python and 'pip install "
            "gym-super-mario-bros==7.4.0', or pass the path of such an image as rom=PATH."
        )
    raise RomError(
        f"No ROM of {game} was found: gym-super-mario-bros is not installed or ships none; pip "
        f"install gym-super-mario-bros, or pass rom=PATH or set {ROM_VARIABLE}."
    )


@lru_cache
def installed_roms() -> tuple[Rom, ...]:
    """Every known image inside the installed ``gym_super_mario_bros``, without importing it."""
    found: list[Rom] = []
    for path in _installed_images():
        with suppress(RomError):  # other games lie there, too
            found.append(read_rom(path))
    return tuple(found)


def _installed_images() -> Iterator[Path]:
    spec = find_spec("gym_super_mario_bros")  # finds a top-level package without running it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        yield from sorted(Path(folder).rglob("*.nes"))
