"""Watching agents play: windows, terminals, mosaics and videos."""
