"""Whether training still computes what it did: digests of weights after a few hundred updates.

A change of the code that is not meant to change what is learned must leave these digests alone.
One that changes the order of random draws, or the arithmetic, records them anew in a commit of its
own that says why: ``python -m tests.golden --record``.
"""
