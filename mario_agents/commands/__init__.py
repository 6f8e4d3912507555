"""The commands of ``mario-agents``, one file each; what they need is imported when they run."""

from mario_agents.commands.dispatch import dispatch

__all__ = ["dispatch"]
