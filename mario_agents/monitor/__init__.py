"""The dashboard: shows a run in a terminal, while it trains and afterwards."""
