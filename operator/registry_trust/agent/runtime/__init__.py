"""The node's runtimes: what their configuration says they read, and which roots are written for it."""
