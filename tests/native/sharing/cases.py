"""Cases by name, and what they have in common."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.error import AlreadyPendingCallError, ResetNeeded

from mario_envkit.errors import MarioEnvkitError

CASES: dict[str, Callable[[], None]] = {}


def case(function: Callable[[], None]) -> Callable[[], None]:
    """Let the command line know a case."""
    CASES[function.__name__] = function
    return function


def together(work: Callable[[], Any], *others: Callable[[], Any], allowed: tuple = ()) -> Any:
    """What ``work`` returns, while each of ``others`` is called again and again beside it.

    Args:
        work, others: each in a thread of its own.
        allowed: errors that are an answer.
    """
    over, failures, results = threading.Event(), [], []

    def loop(call: Callable[[], Any]) -> None:
        while not over.is_set() and not failures:
            try:
                call()
            except allowed:
                pass
            except BaseException as error:
                failures.append(error)

    def once() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)
        over.set()

    threads = [threading.Thread(target=once)]
    threads += [threading.Thread(target=loop, args=(call,)) for call in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results[0]


def digest(*values: Any) -> str:
    """A hash of arrays and plain values."""
    hashed = hashlib.sha256()
    for value in values:
        hashed.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return hashed.hexdigest()


def one_of_two(env: Any, step: Callable[[], Any], again: Callable[[], Any]) -> None:
    """Two threads step: each gets a step or a sentence, and then the game is as good as new."""
    answers: list[str] = []

    def try_to_step() -> None:
        try:
            step()
            answers.append("")
        except ResetNeeded:
            env.reset()
        except AlreadyPendingCallError as error:
            if not isinstance(error, MarioEnvkitError):
                raise
            answers.append(str(error))

    def work() -> None:
        for _ in range(200):
            try_to_step()

    together(work, try_to_step, allowed=(AlreadyPendingCallError,))
    # Who is in whose way there is chance; here it is not.
    answers.clear()
    env.step_lock.begin()
    second = threading.Thread(target=try_to_step)
    second.start()
    second.join()
    env.step_lock.end()
    assert [answer[:14] for answer in answers] == ["Another thread"]
    again()
