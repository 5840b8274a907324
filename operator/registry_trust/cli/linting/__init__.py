"""`registry-trust lint`: what is wrong with manifests, each with its file, line and column."""
