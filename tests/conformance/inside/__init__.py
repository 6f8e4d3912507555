"""Tests that run in the environment of a peer."""
