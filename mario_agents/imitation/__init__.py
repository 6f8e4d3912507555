"""Behaviour cloning: a policy learns from runs that reach the flag before it plays itself."""
