"""Trainers for Super Mario Bros, built on :mod:`mario_envkit`.

Importing this package imports no torch; the algorithms live in :mod:`mario_agents.algos`.
"""
