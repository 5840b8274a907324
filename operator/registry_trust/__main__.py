"""`python -m registry_trust` is the command `registry-trust`."""

from registry_trust.cli.main import main

main()
