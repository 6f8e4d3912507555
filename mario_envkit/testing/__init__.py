"""Checks that a part of somebody else's making keeps our contracts."""
