"""``python -m tests.native.sharing CASE``: several threads use one game, in a process of their own.

Where that goes wrong the process may die; so tests start it and look how it ends. Exit status 0:
everything was as it is with one thread.
"""
