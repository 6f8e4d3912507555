"""Other libraries train on the environments: ``pytest tests/conformance --peer NAME``.

Each peer is installed into a virtual environment of its own, and the tests of ``inside/NAME.py``
run there: real training, in short. See CONTRIBUTING.md.
"""
