"""Speed, measured side by side; never asserted in the test suite.

``python -m tests.benchmarks`` prints the table; ``--help`` says what can be chosen.
"""
