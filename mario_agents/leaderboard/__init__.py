"""Results of ``mario-agents eval`` beside one another: what may be compared, and tables of it."""
