"""What the fork server of a run imports once, so that the processes of the run need not: the server
does this before it starts the first of them. Nobody else imports this module."""

from mario_agents.runtime.signals import ended_with_parent, ignore_stop_signals

# A command that has ended while its server still imports leaves nothing behind.
with ended_with_parent():
    from mario_agents.runtime.processes import child

# Of the server: a closed terminal must not end it, which would look like the end of all.
ignore_stop_signals()

__all__ = ["child"]
