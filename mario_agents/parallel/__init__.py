"""The parts of a training loop that do not care which algorithm is learning."""
