"""Closing things so that what went wrong first is what is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)


class Closeable(Protocol):
    """Anything with ``close()``."""

    def close(self) -> object: ...


T = TypeVar("T", bound=Closeable)


class ClosesItself(Protocol):
    """For whoever derives from it: a context manager that calls ``close`` at the end, as
    :func:`close_at_end` does."""

    def close(self) -> None:
        """Give back what it has; harmless when repeated."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            close_after_error(self.close)


@contextmanager
def close_at_end(thing: T) -> Iterator[T]:
    """As :func:`contextlib.closing`, but an error of ``close`` never takes the place of one that
    came before it: on a full disk everything fails, one after the other."""
    try:
        yield thing
    except BaseException:
        close_after_error(thing.close)
        raise
    thing.close()


def close_all(*closes: Callable[[], object]) -> None:
    """Call all of them, whatever goes wrong.

    Raises:
        Exception: the first error; the others are in the log.
    """
    first: Exception | None = None
    for close in closes:
        try:
            close()
        except Exception as error:
            if first is None:
                first = error
            else:
                _tell(error)
    if first is not None:
        raise first


def close_after_error(*closes: Callable[[], object]) -> None:
    """Call all of them; there is an error already that counts, so theirs are in the log only."""
    try:
        close_all(*closes)
    except Exception as error:
        _tell(error)


def _tell(error: Exception) -> None:
    log.info("Another error followed while closing: %s", error)
