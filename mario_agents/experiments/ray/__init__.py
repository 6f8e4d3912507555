"""The processes of runs on the machines of a Ray cluster.

Only these modules import ray, and only when they are used. ``docs/pages/how-to/cluster.md`` says
how they work together.
"""
