"""The process that records the first flag of a run; it does without torch, to be there sooner."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mario_agents.playback.first_success import ActionTrace, record_first_flag
from mario_agents.runtime.processes.background_entry import Link
from mario_agents.runtime.processes.messages import Recorded, RecordFlag, decode, log_to
from mario_envkit.snapshots.entry import saved_from_bytes


def main(link: Link) -> None:
    """Do what the first message says."""
    if sys.platform == "win32":
        raise NotImplementedError
    os.nice(19)  # the lowest priority: nobody waits for it
    log_to(link)
    message = link.receive()
    assert message is not None
    request: RecordFlag = decode(message, RecordFlag)
    trace = ActionTrace(
        saved_from_bytes(request.saved),
        request.actions,
        request.origin,
        chances=request.chances,
    )
    record_first_flag(trace, request.env_kwargs, Path(request.directory), request.step)
    link.send(Recorded().encode())
