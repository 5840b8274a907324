"""Prints the demo for people: short lines under numbered headings, in colours only on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence

NARROWEST, WIDEST = 80, 120
"""Columns that are used, whatever the terminal has."""

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _BLUE = "1", "2", "31", "32", "33", "36"


class Output:
    """Where the demo speaks. Every heading says how many seconds have passed since the beginning."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))
        self._steps = 0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    def heading(self, text: str) -> None:
        """Begin a step."""
        self._steps += 1
        clock = self._paint(f"{self.seconds:6.1f} s", _DIM)
        print(f"\n{clock}  {self._paint(f'{self._steps}. {text}', _BOLD)}", flush=True)

    def say(self, text: str) -> None:
        """Say a sentence or two, wrapped."""
        for line in textwrap.wrap(text, self._width - 4, break_long_words=False, break_on_hyphens=False):
            print(f"    {line}", flush=True)

    def good(self, text: str) -> None:
        """Say what went as it must."""
        self._marked("ok", _GREEN, text)

    def note(self, text: str) -> None:
        """Say what the reader should know, and is no failure."""
        self._marked("--", _YELLOW, text)

    def bad(self, text: str) -> None:
        """Say what went wrong; lines after the first are shown as they are."""
        first, *rest = text.splitlines() or [""]
        self._marked("!!", _RED, first)
        self.block(rest)

    def command(self, text: str) -> None:
        """Show a command as it would be typed."""
        print(f"    {self._paint(f'$ {text}', _BLUE)}", flush=True)

    def block(self, lines: str | Iterable[str]) -> None:
        """Show text as it is: a manifest, a tree, a program's words."""
        for line in lines.splitlines() if isinstance(lines, str) else lines:
            print(f"      {line}".rstrip(), flush=True)

    def clipped(self, text: str) -> None:
        """Show a program's table; what does not fit into a line is cut."""
        room = self._width - 6
        self.block(line if len(line) <= room else f"{line[: room - 3]}..." for line in text.splitlines())

    def quote(self, text: str) -> None:
        """Show a long message as it is, wrapped."""
        self.block(textwrap.wrap(text, self._width - 6, break_long_words=False, break_on_hyphens=False))

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show the figures."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"    {name:<{width}}  {self._paint(value, _BOLD)}")
        sys.stdout.flush()

    def _marked(self, mark: str, colour: str, text: str) -> None:
        first, *rest = textwrap.wrap(text, self._width - 7, break_long_words=False, break_on_hyphens=False) or [""]
        print(f"    {self._paint(mark, colour)} {first}", flush=True)
        for line in rest:
            print(f"       {line}", flush=True)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text
