"""Agents for others: a directory of their own, and the way to a model hub and back."""
