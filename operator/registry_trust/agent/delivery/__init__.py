"""Delivery: what the node hears from the API server, and the one thing that it tells it."""
