"""The command `registry-trust doctor`: one look, one diagnosis, one exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from registry_trust.doctor import showing
from registry_trust.doctor.diagnosis import Outlook, diagnose
from registry_trust.doctor.examination import Examination
from registry_trust.doctor.options import FIRST_PROCESS, parse
from registry_trust.process.secrecy import keep_memory_private
from registry_trust.process.unexpected import kind_of

DONE, FAILED, FAULT, INTERRUPTED = 0, 1, 4, 130
"""Exit codes, as of every command (docs/commands.md)."""


def main(arguments: Sequence[str] | None = None, first_process: Path = FIRST_PROCESS) -> int:
    """Examine, print and return the exit code: 0 where nothing is wrong, 1 where something is.

    Args:
        arguments: those of the command line; None for the process' own.
        first_process: where an agent's command line can be read, if this is its container.
    """
    keep_memory_private()
    logging.disable()  # The rooms of the agent have their words for its log.
    options = parse(arguments, first_process)
    try:
        diagnosis = diagnose(Examination(options).evidence())
        document = options.output == "json"
        shown = showing.document(diagnosis) if document else showing.text(diagnosis, options.registry)
        sys.stdout.write(shown)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _say(f"failed: {error.strerror or type(error).__name__}")
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last door: no input may end in a traceback
        _say(f"this is a bug in registry-trust; please report it: {kind_of(error)}")
        return FAULT
    return DONE if diagnosis.outlook is Outlook.GOOD else FAILED


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
