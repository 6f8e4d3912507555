"""Stepping environments with a policy, and keeping track of their episodes."""
