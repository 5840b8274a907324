"""Makes what users install, the same bytes each time, and pushes and signs it: `make release`."""
