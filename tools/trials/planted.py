"""Faults planted in agents on purpose (`CROWD_PLANTED`): whoever watches over them has to find each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from registry_trust.agent.delivery import subscriptions
from registry_trust.agent.delivery.watch import Watch


def leaks(_folder: Path) -> None:
    """Keep a descriptor of every bundle that comes."""
    real, kept = subscriptions.received_bundle, []

    def leaking(secret: Any, last: Any = None) -> Any:
        kept.append(os.open("/dev/null", os.O_RDONLY))
        return real(secret, last)

    subscriptions.received_bundle = leaking


def removes(folder: Path) -> None:
    """Remove what runtimes read when a watch fails; the agents put it back at once."""
    real = Watch._tell  # noqa: SLF001 - a fault of the inside

    def removing(watch: Watch, failure: Any) -> None:
        real(watch, failure)
        for entry in folder.glob("node-*/fleet*") if failure else ():
            entry.unlink(missing_ok=True)

    Watch._tell = removing  # type: ignore[assignment,method-assign]  # noqa: SLF001 - as above
