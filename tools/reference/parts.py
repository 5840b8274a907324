"""A page with generated parts: each between two comments that name it and what it follows from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a cell's line breaks become spaces, and its bars are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def code(text: str) -> str:
    """Return text as code, or nothing for no text."""
    return f"`{text}`" if text else ""


def with_parts(page: str, source: str, parts: dict[str, str]) -> str:
    """Return a page with its generated parts as they should be.

    Raises:
        ValueError: the page lacks the place of a part, or has one that is not given.
    """
    places = re.findall(r"^<!-- Generated (.+) by `make generate`", page, re.MULTILINE)
    if sorted(places) != sorted(parts):
        message = f"the page has places for {sorted(places)}, and these parts are given: {sorted(parts)}"
        raise ValueError(message)
    for name, text in parts.items():
        begin = rf"<!-- Generated {re.escape(name)} by `make generate`[^\n]*-->\n"
        end = f"<!-- End of {name}. -->\n"
        made = f"<!-- Generated {name} by `make generate` from {source}; edit that instead. -->\n\n{text}\n{end}"
        before, *rest = re.split(rf"{begin}.*?{re.escape(end)}", page, flags=re.DOTALL)
        if len(rest) != 1:
            message = f"the page has {len(rest)} complete places for {name}"
            raise ValueError(message)
        page = f"{before}{made}{rest[0]}"
    return page
