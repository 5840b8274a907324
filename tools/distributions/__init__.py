"""Distributions: how each writes containerd's configuration, what the agent is told there, and the page made of it."""
