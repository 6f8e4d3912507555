"""The commands of ``mario-agents``: one module each, with its options and its function.

``table.py`` lists them; a module has the name of its command, and a function ``main`` that takes
the words after that name.
"""
