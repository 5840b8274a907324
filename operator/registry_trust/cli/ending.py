"""How the command ends: with one of the documented exit codes and a message, whatever happens in it."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

import click

from registry_trust.core.errors import RegistryTrustError
from registry_trust.core.text import escape


class Exit(IntEnum):
    """Exit codes of every command; docs/commands.md explains them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    LOST = 3
    FAULT = 4
    INTERRUPTED = 130


EXIT_CODES = """\b
Exit codes:
  0    done
  1    something was refused or failed; standard error says what
  2    the command line is wrong
  3    operator: it lost its Lease; agent: a root was moved away
  4    a fault of registry-trust itself; please report it
  130  interrupted (Ctrl-C)
"""


class Program(click.Group):
    """The command with its subcommands; no exception leaves it as a traceback."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a subcommand, and end the process."""
        try:
            sys.exit(_code(super().main(*args, **{**extra, "standalone_mode": False})))
        except click.Abort:
            _say("interrupted; run the same command again to finish what it began")
            code = Exit.INTERRUPTED
        except click.ClickException as error:
            error.show()
            code = Exit(error.exit_code)
        except RegistryTrustError as error:
            _say(f"failed: {error}")
            code = Exit.FAILED
        except OSError as error:
            name = f"{escape(str(error.filename))}: " if error.filename is not None else ""
            _say(f"failed: {name}{error.strerror or type(error).__name__}")
            code = Exit.FAILED
        except Exception as error:  # noqa: BLE001 - the last door: no input may end in a traceback
            # Where, and not what: an exception's text may repeat what it met.
            frames = [
                frame for frame in traceback.extract_tb(error.__traceback__) if "registry_trust" in frame.filename
            ]
            places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
            _say(f"this is a bug in registry-trust; please report it: {type(error).__name__} at {places}")
            code = Exit.FAULT
        _let_go_of_output()
        sys.exit(code)


def _code(returned: object) -> int:
    return returned if isinstance(returned, int) else Exit.DONE


def _say(message: str) -> None:
    click.secho(message, err=True, fg="red")


def _let_go_of_output() -> None:
    """Keep the interpreter from failing a second time when it flushes what could not be written."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    except AttributeError:
        return  # Standard output was closed before the start.
