"""What a printed fix asks for, done to the letter on a host's files, by somebody who reads nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

_EDIT = re.compile(
    r"(?P<lines>(?:.*\n)+)"
    r"(?P<where>at the end of|in a new file|"
    r"(?P<instead>instead of the config_path )?in the table (?P<table>\[.+?\]) of) "
    r"(?P<path>[^ ,;]+)(?:[,;] (?P<rest>.*))?"
)
_SPECIFICATION = re.compile(r"(?P<yaml>spec:\n(?:.*\n)+)to the cluster's specification \(kops edit cluster\), then: .*")
_COPY = re.compile(r"a copy of (?P<source>\S+); .* Environment=CONTAINERD_CONFIG=(?P<main>\S+)\), .*")


def remove_refused(text: str) -> str:
    """Return a file without mirrors and TLS settings, which messages ask to be moved elsewhere first."""
    return re.sub(r"\[.*registry\.(mirrors\..*|configs\..*\.tls)\]\n.*\n", "", text)


def carry_out(message: str, path: Callable[[str], Path], specification: Path | None = None) -> str:
    """Do what a message asks for.

    Args:
        message: as it is printed: what is so, a colon, and the fix from the next line on.
        path: where a path of the host is.
        specification: the file that takes what belongs into a kOps cluster's specification.

    Returns:
        The main file that containerd's unit is told to read from now on; empty if it stays the same.
    """
    cure = message.partition(":\n")[2] or message
    if told := _SPECIFICATION.fullmatch(cure):
        assert specification is not None
        specification.write_text(json.dumps(yaml.safe_load(told["yaml"])["spec"]["containerd"]["configAdditions"]))
        return ""
    told = _EDIT.fullmatch(cure)
    assert told is not None, cure
    place, main = path(told["path"]), ""
    if copied := _COPY.fullmatch(told["rest"] or ""):
        shutil.copy(path(copied["source"]), place)
        main = copied["main"]
    if told["where"] == "in a new file":
        assert not place.exists()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(told["lines"])
    elif told["where"] == "at the end of":
        before = place.read_text() if place.exists() else ""
        place.write_text(f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}{told['lines']}")
    else:
        place.write_text(_in_table(place.read_text(), told["table"], told["lines"], instead=bool(told["instead"])))
    return main


def _in_table(text: str, table: str, line: str, *, instead: bool) -> str:
    lines = text.splitlines(keepends=True)
    at = [number for number, each in enumerate(lines) if each.strip().replace("'", '"') == table]
    assert len(at) == 1, f"{table} is there {len(at)} times"
    end = next((n for n in range(at[0] + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    old = [n for n in range(at[0], end) if re.match(r"\s*config_path\s*=", lines[n])]
    assert bool(old) is instead, "the message says rightly whether there is one to be replaced"
    if old:
        lines[old[0]] = line
    else:
        lines.insert(at[0] + 1, line)
    return "".join(lines)
