"""Runs that are trained and measured in processes of their own: what ``bench`` and ``sweep`` share.

A cell says which run there is. A job trains and measures it, one process after the other; each
leaves a file behind, by which whoever was stopped, or killed, knows what need not be done again.
"""
