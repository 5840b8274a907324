"""The two halves of the tests run side by side: each test in one of them, and no failure of either is lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import KINDS
from tools.side_by_side import END_TO_END, TESTS, commands, run

PASSES = [sys.executable, "-c", "print('one line')"]
FAILS = [sys.executable, "-c", "raise SystemExit(1)"]
DIES = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]


def test_one_half_has_the_end_to_end_tests_and_the_other_has_the_rest_in_the_same_order() -> None:
    others, end_to_end = commands(["--durations=5"])

    assert end_to_end[-1] == str(END_TO_END)
    assert others[-2:] == [f"--ignore={END_TO_END}", str(TESTS)]
    assert others[3:5] == end_to_end[3:5]
    assert others[4] == "--durations=5"
    assert END_TO_END.name in KINDS


def test_make_test_runs_both_halves_and_with_a_path_that_path_alone() -> None:
    def recipe(*arguments: str) -> str:
        command = ["make", "--dry-run", "--no-print-directory", "test", *arguments]
        environment = {**os.environ, "MAKEFLAGS": "", "MAKELEVEL": "0", "TESTS": ""}
        return subprocess.run(
            command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=True
        ).stdout.rstrip()

    assert recipe().endswith("python -m tools.side_by_side")
    assert recipe("TESTS=tests/unit").endswith("python -m pytest tests/unit")


@pytest.mark.parametrize(
    "program", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)"], ids=["fails", "dies"]
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_half_that_fails_or_dies_fails_the_whole(program: str, place: int) -> None:
    halves = [PASSES]
    halves.insert(place, [sys.executable, "-c", program])

    assert run([PASSES, PASSES]) == 0
    assert run(halves) == 1


def test_lines_of_both_are_printed_whole_while_they_run(capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys\nfor n in range(200): print({}, n, end=' '); sys.stdout.flush(); print('end', file=sys.stderr)"
    )
    run([[sys.executable, "-u", "-c", program.format(half)] for half in "12"])

    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == sorted(f"{half} {number} end" for half in "12" for number in range(200))
