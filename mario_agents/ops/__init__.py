"""The mathematics of learning: pure functions with a reference for each, no state, no I/O."""
