"""Weights, gradients and counters in shared memory."""
