"""Networks that more than one algorithm uses."""
