"""As much of Ray as handles of actors use."""

from __future__ import annotations

from typing import Any


class FakeError(Exception):
    """Of Ray."""


class FakeTaskError(FakeError):
    """Of what an actor does."""

    cause: Exception


class FakeRay:
    """References are lists: empty as long as there is no answer."""

    class exceptions:  # noqa: N801
        RayError = FakeError
        RayTaskError = FakeTaskError

    def __init__(self) -> None:
        self.killed: list[object] = []

    def wait(self, references: list[list[Any]], timeout: float) -> Any:
        return [each for each in references if each], None

    def get(self, reference: list[Any], timeout: float | None = None) -> Any:
        if isinstance(reference[0], Exception):
            raise reference[0]
        return reference[0]

    def kill(self, actor: object) -> None:
        self.killed.append(actor)


class FakeMethod:
    def __init__(self, answer: list[Any] | None = None) -> None:
        self.answer: list[Any] = answer or []
        self.calls: list[tuple[Any, ...]] = []

    def options(self, **kwargs: Any) -> FakeMethod:
        return self

    def remote(self, *arguments: Any) -> list[Any]:
        self.calls.append(arguments)
        return self.answer
