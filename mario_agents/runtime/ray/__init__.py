"""Workers and coordinator of a run as actors of Ray, on one machine or many.

Only these modules import ray, and only when they are used. How they work together is in
``docs/pages/how-to/cluster.md``.
"""
