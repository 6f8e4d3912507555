"""A run with worker processes: starting, watching and replacing them."""
