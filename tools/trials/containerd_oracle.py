"""The oracle: what containerd of each version makes of a set of files, and what the agent makes of the same.

In full: `python -m tools.torture containerd`.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from registry_trust.agent.options import Mount
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.containerd import configuration
from tools.cluster.binaries import binary
from tools.trials.containerd_files import draw

VERSIONS = {
    "1.6": (1, 6, 36),
    "1.7": (1, 7, 35),
    "2.0": (2, 0, 14),
    "2.1": (2, 1, 9),
    "2.2": (2, 2, 9),
    "2.3": (2, 3, 4),
    "2.4": (2, 4, 2),
}
"""What tools/go/containerd-asked pins."""

Reading = tuple[str, bool, bool]
"""The effective path; whether there are mirrors; whether a list of paths is split."""

REVIEWED = ("has both [plugins.cri]", "is not valid TOML", "disables the CRI plugin")
"""Kinds of files of which the agent says Unknown although containerd may start with them."""


@dataclass(frozen=True)
class Difference:
    """A set of files on which the two disagree."""

    version: str
    number: int
    containerd: dict[str, Any]
    agent: Reading | str


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write a set of files; return the main one."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("HERE", str(folder)))
    if (folder / "conf.d").is_dir():
        (folder / "link").symlink_to(folder / "conf.d")
    return folder / "config.toml"


def ask(version: str, mains: Sequence[Path]) -> list[dict[str, Any]]:
    """Ask containerd's own code of that version about main files."""
    done = subprocess.run(
        [binary(f"containerd-{version}"), "ask"],
        input="".join(f"{path}\n" for path in mains),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def agents_reading(main: Path, version: str) -> Reading | str:
    """Return what the agent makes of the files; words if it says Unknown."""
    files = ConfigurationFiles([Mount(str(main.parent), str(main.parent))])
    number = VERSIONS[version]
    try:
        found = configuration.read_configuration(str(main), number, files.read, files.glob)
    except UnreadableConfiguration as error:
        return str(error)
    if found.refusal():
        return f"the CRI plugin does not load with {found.refusal()}"
    return (
        configuration.effective_path(found, number),
        found.mirrors,
        configuration.splits_list(found, number),
    )


def agree(answer: dict[str, Any], agent: Reading | str) -> bool:
    """Say whether the agent says Unknown of what does not run, and else reads what containerd reads."""
    if answer["error"] or answer["refused"] or answer["disabled"]:
        return isinstance(agent, str)
    if isinstance(agent, str):
        return any(kind in agent for kind in REVIEWED)
    return agent == (answer["configPath"], answer["mirrors"], answer["localPull"])


def differences(numbers: range, versions: Sequence[str] = tuple(VERSIONS)) -> tuple[list[Difference], Counter[str]]:
    """Return where the two disagree, and how often each version read, refused, or was Unknown for a reviewed reason."""
    found: list[Difference] = []
    counts: Counter[str] = Counter()
    with TemporaryDirectory() as place:
        mains = [write(Path(place) / str(number), draw(number)) for number in numbers]
        for version in versions:
            for number, main, answer in zip(numbers, mains, ask(version, mains), strict=True):
                agent = agents_reading(main, version)
                runs = not (answer["error"] or answer["refused"] or answer["disabled"])
                counts[
                    f"{version} {'reviewed' if runs and isinstance(agent, str) else 'read' if runs else 'refused'}"
                ] += 1
                if not agree(answer, agent):
                    found.append(Difference(version, number, answer, agent))
    return found, counts
