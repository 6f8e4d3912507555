"""The dashboard that another process shows: ``python -m mario_agents.monitor RUN PID [web]``.

PID is that of the training, or with ``web`` of the server of the pages that it is shown in.
"""

import signal

# Until the terminal is ours Ctrl-C reaches everybody at it, and is for the one who trains.
signal.signal(signal.SIGINT, signal.SIG_IGN)

if __name__ == "__main__":
    import sys
    from pathlib import Path

    from mario_agents.monitor.show import show
    from mario_envkit.command_line import run_command

    run_path, parent, web = Path(sys.argv[1]), int(sys.argv[2]), "web" in sys.argv[3:]
    sys.exit(run_command("mario-agents", lambda: show(run_path, parent=parent, web=web)))
