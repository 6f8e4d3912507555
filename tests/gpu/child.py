"""``python -m tests.gpu.child``: makes checks, one after another, for :mod:`.host`.

What takes seconds when a process begins (importing torch, the first use of the GPU) is done once.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import gc
import json
import os
import signal
import threading
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.gpu.job import WHERE_ARE_YOU, CheckFailed, Found, Job

SPECS: SimpleQueue[dict[str, Any] | None] = SimpleQueue()


def main() -> int:
    """Make the checks that come in by the standard input, each a line of JSON, until it closes or a
    check fails: whatever that has left behind, others are to begin anew."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.register(WHERE_ARE_YOU)
    threading.Thread(target=_listen, daemon=True).start()
    while (spec := SPECS.get()) is not None:
        import torch

        threads = torch.get_num_threads()
        torch.ones(1, device=spec["device"])
        found, failed = _make(spec)
        _write(Path(spec["result"]), {**dataclasses.asdict(found), "failed": failed})
        if failed:
            return 1
        torch.set_num_threads(threads)  # runs have a number of their own
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return 0


def _listen() -> None:
    # Not sys.stdin: a thread that waits within it would hold its lock when the process ends.
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        for line in pipe:
            SPECS.put(json.loads(line))
    SPECS.put(None)
    os.kill(os.getpid(), signal.SIGINT)  # whoever wanted to know is gone


def _make(spec: Mapping[str, Any]) -> tuple[Found, bool]:
    """What a check found, and whether it was left before its end."""
    Path(spec["began"]).touch()
    job = Job(
        spec["device"],
        Path(spec["folder"]),
        spec["measured"],
        Path(spec["log"]),
        spec["log_begin"],
    )
    module, _, name = spec["target"].partition(":")
    try:
        found: Found = getattr(import_module(module), name)(job, **spec["arguments"])
    except CheckFailed as error:
        return Found("", {}, [str(error)]), True
    except Exception as error:
        traceback.print_exc()
        first = (str(error).splitlines() or ["no reason given"])[0]
        return Found("", {}, [f"{type(error).__name__}: {first}"]), True
    return found, False


def _write(path: Path, document: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document))
    part.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
