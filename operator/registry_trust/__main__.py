"""`python -m registry_trust` is the command `registry-trust`."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command. The doctor starts by itself: in an agent's container there is little memory beside the agent."""
    if sys.argv[1:2] == ["doctor"]:
        from registry_trust.doctor.command import main as doctor

        sys.exit(doctor(sys.argv[2:]))
    from registry_trust.cli.main import main

    main()


if __name__ == "__main__":
    run()
