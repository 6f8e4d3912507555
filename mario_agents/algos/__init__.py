"""The algorithms, one package each; they share parts, but never import one another."""
