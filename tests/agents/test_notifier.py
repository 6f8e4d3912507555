"""Waking a process: no notification is lost, and none ever blocks."""

from __future__ import annotations

import sys
import threading

import pytest

from mario_agents.runtime.shm.notifier import Notifier, ProcessNotifier, ThreadNotifier
from tests.agents.hammering import SPAWN

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes are not waited for there")
LONG = 60.0


def answer(question: Notifier, reply: Notifier) -> None:
    """Entry point of a process: says that it is there, then answers one question after another."""
    reply.notify()
    while question.wait(LONG):
        reply.notify()


@pytest.mark.parametrize("kind", [ProcessNotifier, ThreadNotifier])
def test_a_notification_that_comes_first_is_not_lost(kind: type[Notifier]) -> None:
    notifier = kind()
    assert not notifier.wait(0.0)
    notifier.notify()
    notifier.notify()
    assert notifier.wait(LONG)
    assert not notifier.wait(0.0)  # one look was enough for both


@pytest.mark.parametrize("kind", [ProcessNotifier, ThreadNotifier])
def test_two_that_take_turns_never_miss_each_other(kind: type[Notifier]) -> None:
    """Each looks at shared memory first, and waits only if its turn has not come."""
    here, there = kind(), kind()
    turn, missed, rounds = [0], [], 2000

    def play(own: int, mine: Notifier, other: Notifier) -> None:
        for _ in range(rounds):
            while turn[0] != own:
                if not mine.wait(LONG):
                    missed.append(own)
                    return
            turn[0] = 1 - own
            other.notify()

    thread = threading.Thread(target=play, args=(1, there, here), daemon=True)
    thread.start()
    play(0, here, there)
    thread.join(LONG)
    assert not thread.is_alive()
    assert missed == []


def test_nobody_who_notifies_waits_for_one_who_does_not_look() -> None:
    notifier = ProcessNotifier()
    for _ in range(100_000):  # more than a pipe holds
        notifier.notify()
    looks = 0
    while notifier.wait(0.0):
        looks += 1
    assert 0 < looks < 100
    notifier.notify()
    assert notifier.wait(LONG)


def test_a_replacement_goes_on_where_a_killed_process_was() -> None:
    question, reply = ProcessNotifier(), ProcessNotifier()
    for _ in range(2):
        process = SPAWN.Process(target=answer, args=(question, reply), daemon=True)
        process.start()
        for _ in range(10):
            assert reply.wait(LONG)
            question.notify()
        assert reply.wait(LONG)
        process.kill()  # in the middle of waiting
        process.join()
