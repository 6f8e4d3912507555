"""Gives checks to processes, side by side where there are cores, until there is no time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.gpu.host import OUT_OF_TIME, Host, Result
from tests.gpu.job import Check
from tests.gpu.plan import Machine, groups


class Run:
    """All checks of a call.

    Args:
        machine: where they run.
        end: when everything has to be over, as by ``time.monotonic()``.
        done: is told each result.
        busy: is told the names of those that are running.
    """

    def __init__(
        self,
        machine: Machine,
        end: float,
        done: Callable[[Result], object],
        busy: Callable[[Sequence[str]], object] = lambda names: None,
    ) -> None:
        self._machine, self._end, self._done, self._busy = machine, end, done, busy
        self._idle: list[Host] = []

    def run(self, checks: Sequence[Check]) -> list[Result]:
        """Make the checks in their order; those that there is no time for are not run."""
        results: list[Result] = []
        several = list(groups(checks, self._machine))
        try:
            for number, (slots, group) in enumerate(several):
                # Idle processes take memory, and those that are needed again seconds to begin.
                self._close(max(later for later, _ in several[number:]))
                results += self._side_by_side(group, slots)
        finally:
            self._close(0)
        return results

    def _side_by_side(self, checks: Sequence[Check], slots: int) -> list[Result]:
        waiting, running, results = list(checks), list[Host](), list[Result]()
        try:
            while waiting or running:
                ended = []
                while waiting and len(running) < slots:
                    check = waiting.pop(0)
                    if check.seconds > self._left:
                        ended.append(Result(check, "not run", 0.0, OUT_OF_TIME, {}, []))
                    else:
                        running.append(self._begun(check))
                self._busy([host.check.name for host in running])
                for host in list(running):
                    result = host.poll()
                    if result is None and self._left < 0:
                        result = host.cut()
                    if result is not None:
                        ended.append(result)
                        running.remove(host)
                        self._idle += [host] if host.usable else []
                for result in ended:
                    self._done(result)
                results += ended
                time.sleep(0.02)
        finally:
            for host in running:
                host.close()
        return results

    @property
    def _left(self) -> float:
        return self._end - time.monotonic()

    def _begun(self, check: Check) -> Host:
        host = self._idle.pop(0) if self._idle else Host(self._machine)
        host.begin(check, self._machine.limit(check))
        return host

    def _close(self, kept: int) -> None:
        """End all idle processes but a few."""
        for host in self._idle[kept:]:
            host.kill()  # all of them: each takes a while to give back a GPU's memory
        for host in self._idle[kept:]:
            host.close()
        del self._idle[kept:]
