"""Actor-critic on unrolls: workers share experience (IMPALA), or gradients (A3C)."""
