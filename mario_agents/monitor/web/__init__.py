"""The dashboard in a browser: textual-serve, and who may look."""
