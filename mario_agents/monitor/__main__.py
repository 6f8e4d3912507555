"""The dashboard that training shows: ``python -m mario_agents.monitor RUN PID``."""

import signal

# Until the terminal is ours Ctrl-C reaches everybody at it, and is for the one who trains.
signal.signal(signal.SIGINT, signal.SIG_IGN)

if __name__ == "__main__":
    import sys
    from pathlib import Path

    from mario_agents.monitor.show import show

    show(Path(sys.argv[1]), parent=int(sys.argv[2]))
