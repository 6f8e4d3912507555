"""The dashboard's source of events: the sockets of a running run."""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from functools import reduce as fold
from typing import Protocol

from mario_agents.monitor.files import definitions, stored_state
from mario_agents.monitor.state import Dashboard, begin_again, reduce
from mario_agents.run import RunDir
from mario_agents.telemetry.events import EventObserver, EventServer, read_server
from mario_envkit.errors import RunError

LOOK_SECONDS = 1.0
"""Seconds between two looks at whether the run has sockets, and which."""
SILENT_SECONDS = 15.0
"""A run is silent for so long only if its main process is stopped or gone."""


class Feed(Protocol):
    """A run as a dashboard needs it."""

    def poll(self, state: Dashboard) -> Dashboard:
        """The state after what has happened since the last call; never waits."""

    @property
    def living(self) -> bool:
        """Whether the run is being trained."""

    @property
    def silent(self) -> bool:
        """Whether a run that looks alive has said nothing for long."""

    def stop(self) -> bool:
        """Ask the run to save and end; False if there is nobody to ask."""

    def close(self) -> None:
        """Let go of the run, which goes on."""


class RunFeed:
    """The events of the run in a directory, now and whenever it is resumed."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._server: EventServer | None = None
        self._observer: EventObserver | None = None
        self._heard = 0.0
        self._connect(self._find())

    def begin(self) -> Dashboard:
        """What the run's files say."""
        if self.living:
            return self._begun(begin_again(stored_state(self._run, ended=False)))
        return stored_state(self._run)

    @property
    def living(self) -> bool:
        """Whether there is a process that trains the run."""
        return self._observer is not None

    @property
    def silent(self) -> bool:
        """Whether no event has come for :data:`SILENT_SECONDS`."""
        return time.monotonic() - self._heard > SILENT_SECONDS

    def poll(self, state: Dashboard) -> Dashboard:
        """The state after the events that have arrived; connects to a run that is resumed."""
        found = self._find() if time.monotonic() >= self._due else self._server
        # Before anything is closed: the last words of the run may be waiting.
        state = self._take_in(state)
        if found != self._server:
            self._connect(found)
            if self.living:
                state = self._begun(begin_again(state))
        return state

    def _begun(self, state: Dashboard) -> Dashboard:
        """With what the run measures, and the time that it has been given, which may be another
        when it is resumed."""
        state = replace(state, metrics=definitions(self._run.path, []))
        assert self._server is not None
        with suppress(RunError):  # damaged while it runs
            self._run = RunDir.open(self._run.path)
        minutes = self._run.options.get("max_minutes")
        if not isinstance(minutes, (int, float)) or not self._server.started:
            return replace(state, deadline=math.nan)
        return replace(state, deadline=self._server.started + 60 * minutes)

    def _take_in(self, state: Dashboard) -> Dashboard:
        envelopes = [] if self._observer is None else self._observer.poll()
        if envelopes:
            self._heard = time.monotonic()
        return fold(reduce, envelopes, state)

    def _find(self) -> EventServer | None:
        """The run's sockets, if it has any."""
        self._due = time.monotonic() + LOOK_SECONDS
        try:
            server = read_server(self._run.path)
        except RunError:
            return None
        # A killed run leaves its file behind.
        return server if _lives(server.pid) else None

    def _connect(self, server: EventServer | None) -> None:
        self.close()
        self._server = server
        if server is None:
            return
        try:
            self._observer = EventObserver(self._run.path)
        except RunError:  # it ended at this moment
            self._server = None
        self._heard = time.monotonic()

    def stop(self) -> bool:
        """Send SIGINT to the main process, which takes it for its user's Ctrl-C."""
        # Whoever speaks with this run's token on its socket is the process of that number.
        if self._server is None or self.silent:
            return False
        os.kill(self._server.pid, signal.SIGINT)
        return True

    def close(self) -> None:
        """Disconnect; the run goes on."""
        if self._observer is not None:
            self._observer.close()
            self._observer = None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
