"""The processes of runs on the machines of a Ray cluster.

Only these modules import ray, and only when they are used. How they work together is in the
document about training on many machines.
"""
