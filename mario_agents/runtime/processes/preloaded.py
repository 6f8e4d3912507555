"""What the fork server of a run imports once, so that the processes of the run need not: the server
does this before it starts the first of them. Nobody else imports this module."""

from mario_agents.runtime.processes import coordinator_process, worker_process
from mario_agents.runtime.signals import ignore_stop_signals

# Of the server: a closed terminal must not end it, which would look like the end of all.
ignore_stop_signals()

__all__ = ["coordinator_process", "worker_process"]
