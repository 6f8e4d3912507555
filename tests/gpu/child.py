"""``python -m tests.gpu.child SPEC RESULT``: one check, started by :mod:`.runner`."""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import signal
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path

from mario_agents.child_entry import interrupt_when_alone
from tests.gpu.job import CheckFailed, Found, Job


def main() -> int:
    """Make the check; what it found is in ``RESULT``, whatever happened."""
    spec, result = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt_when_alone, daemon=True).start()
    # Says where it hangs, before it is killed for that.
    faulthandler.dump_traceback_later(max(spec["limit"] - 2.0, 1.0))
    job = Job(
        spec["device"], Path(spec["folder"]), spec["budget"], Path(spec["log"]), spec["limit"]
    )
    module, _, name = spec["target"].partition(":")
    try:
        found: Found = getattr(import_module(module), name)(job, **spec["arguments"])
    except CheckFailed as error:
        found = Found("", {}, [str(error)])
    except Exception as error:
        traceback.print_exc()
        first = (str(error).splitlines() or ["no reason given"])[0]
        found = Found("", {}, [f"{type(error).__name__}: {first}"])
    part = result.with_suffix(".part")
    part.write_text(json.dumps(dataclasses.asdict(found)))
    part.replace(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
