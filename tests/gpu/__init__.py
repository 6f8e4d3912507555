"""The check of a GPU, ``python -m tests.gpu``: does everything work there, and how fast?

:mod:`.plan` says what is checked, :mod:`.runner` gives each check a process and a time limit, and
:mod:`.checks` does the work in that process. Trainers are those that are installed; what is special
about one is in the tables of :mod:`.options`.
"""
