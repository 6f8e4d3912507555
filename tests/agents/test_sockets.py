"""Sockets for events, whoever forgets to close them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.waiting import PATIENCE

LEFT_OPEN = """
import gc, sys
from pathlib import Path
from mario_agents.telemetry.events import (
    DeathPositions, EventBroadcast, EventObserver, EventPublisher, EventSubscriber
)

folder = Path(sys.argv[1])
broadcast = EventBroadcast(f"ipc://{folder}/served", run="run", run_path=folder)
for number in range(20):
    ends = [
        EventPublisher(f"ipc://{folder}/nobody", run="run", source="worker_0"),
        EventSubscriber(f"ipc://{folder}/in{number}", run="run"),
        EventObserver(folder),
        EventBroadcast(f"ipc://{folder}/out{number}", run="run", run_path=folder / "other"),
    ]
    ends[0].publish(DeathPositions(level="1-1", positions=[1]))
    for end in ends:
        end.ends = ends  # a circle, which reference counting does not see
    del ends, end
    gc.collect()
print("gone")
"""


def test_what_nobody_closed_does_not_stop_the_collector_of_garbage() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # as sockets need it
        (Path(short) / "other").mkdir()
        done = subprocess.run(
            [sys.executable, "-c", LEFT_OPEN, short],
            capture_output=True, text=True, timeout=PATIENCE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    assert done.stdout == "gone\n", done.stderr
