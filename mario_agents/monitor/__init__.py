"""Looking at a run from a terminal, while it is trained and afterwards."""
