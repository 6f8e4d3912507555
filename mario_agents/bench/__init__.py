"""``mario-agents bench learn``: what presets learn in a budget, with how much luck.

A plan says which runs there are, each runs in processes of its own, and what is measured is made of
what these leave on the disk: a bench that was stopped, or killed, goes on where it was.
"""
