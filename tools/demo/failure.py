"""After a failure: the end of each log, before the run's folder goes."""

from __future__ import annotations

from tools.cluster.runs import Run
from tools.demo.output import Output

LINES = 12
LONGEST = 400

OURS = ("operator", "agent-")
"""Whose logs are shown; the rest says in its own error why it did not start."""


def last_words(out: Output, run: Run) -> None:
    """Show the end of the operator's and the agents' logs."""
    for log in sorted((run.folder / "logs").glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-LINES:]
        if lines and log.name.startswith(OURS):
            out.note(f"the end of {log.name}:")
            out.block(line[:LONGEST] for line in lines)
