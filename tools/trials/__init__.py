"""Trials: what the tests run in a small size, and `make torture` in full."""
