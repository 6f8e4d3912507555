"""The check of a GPU, ``python -m tests.gpu``: does everything work there, and how fast?

:mod:`.plan` says what is checked, in which order and with what budget of time; :mod:`.runner` gives
checks to processes (:mod:`.host`), until there is no time left; :mod:`.child` makes them there, by
the functions of :mod:`.checks`; :mod:`.report` has the table and the JSON file. Trainers are those
that are installed; what is special about one is in the tables of :mod:`.options`.
"""
