"""Runs the end-to-end tests beside all others, and prints the lines of both as they come.

Both wait most of the time, for watches, pauses and pods: one after the other they keep a machine of two cores busy for
half of the time. Exit code: 0 if all passed, otherwise 1.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

TESTS = Path(__file__).resolve().parents[1] / "tests"
END_TO_END = TESTS / "e2e"

_printing = threading.Lock()


def commands(arguments: list[str]) -> list[list[str]]:
    """Return the two commands, both with one order of the tests and with what pytest is given beside it."""
    seed = f"--seed={random.SystemRandom().randrange(100_000)}"
    pytest = [sys.executable, "-m", "pytest", seed, *arguments]
    return [[*pytest, f"--ignore={END_TO_END}", str(TESTS)], [*pytest, str(END_TO_END)]]


def run(commands: list[list[str]]) -> int:
    """Run the commands at the same time, standard error among standard output; return 1 if one failed."""
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        for command in commands
    ]
    printers = [threading.Thread(target=_print_lines, args=(each.stdout,)) for each in running]
    for printer in printers:
        printer.start()
    try:
        codes = [each.wait() for each in running]
        return int(any(codes))
    except KeyboardInterrupt:
        return 1  # It went to them as well; they clean up now, and their printers wait for them.
    finally:
        for printer in printers:
            printer.join()


def _print_lines(output: IO[str]) -> None:
    with output:
        for line in output:
            with _printing:
                sys.stdout.write(line)
                sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run(commands(sys.argv[1:])))
