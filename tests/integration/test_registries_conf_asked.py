"""registries.conf as containers-image reads it: random sets of files are put to the library itself (CRI-O, Podman)."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_trust.agent.options import Mount
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.crio.registries_conf import FOLDERS, Endpoint, RegistriesConf, read_configuration
from tools.cluster.binaries import binary

pytestmark = pytest.mark.tools("loaders-chain")

SETS, SEED = 1500, 1

HOSTS = ("a.example", "a.example:5000", "b.a.example", "A.example", "localhost:5000", "docker.io")
PLACES = (*HOSTS, "a.example/team", "b.a.example/team/", "*.a.example", "*.example", "*.a.example:5000", "")
NAMES = (*HOSTS, "c.b.a.example", "a.examples", "a.example/team", "a.example/teams/x", "xa.example", "a.example.org")
FILES = (
    *(f"{folder}/registries.conf" for folder in FOLDERS),
    *(
        f"{folder}/registries.conf.d/{name}"
        for folder in FOLDERS
        for name in ("10.conf", "20.conf", ".x.conf", "y.txt")
    ),
    *(f"{folder}/registries.rootful.conf.d/{name}" for folder in FOLDERS for name in ("10.conf", "30.conf")),
)


def value(chance: random.Random) -> str:
    """Return a value of a key that is to be a truth value; seldom another one."""
    return chance.choice(
        ("true", "false", "false", "true", "true", "false", "true", '"true"' if chance.random() < 0.1 else "false")
    )


def place(chance: random.Random) -> str:
    """Return a location or prefix; seldom one that can't be."""
    return "https://a.example" if chance.random() < 0.01 else chance.choice(PLACES)


def text(chance: random.Random) -> str:
    """Return a file that may or may not be one that the library takes."""
    lines = []
    if chance.random() < 0.02:
        return chance.choice(("[", "registry = 1", '[registries.insecure]\nregistries = ["a.example"]', "[registries]"))
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        lines.append("[[registry]]")
        key = chance.choice(("location", "location", "location", "Location"))
        lines.append(f'{key} = "{place(chance)}"')
        if chance.random() < 0.4:
            lines.append(f'prefix = "{place(chance)}"')
        if chance.random() < 0.4:
            lines.append(f"insecure = {value(chance)}")
        if chance.random() < 0.1:
            lines.append(f"blocked = {value(chance)}")
        if chance.random() < 0.1:
            lines.append(f"mirror-by-digest-only = {value(chance)}")
        for _ in range(chance.choice((0, 0, 1, 2))):
            lines.append(f'[[registry.mirror]]\nlocation = "{chance.choice(HOSTS)}/hub"')
            if chance.random() < 0.3:
                lines.append(f"insecure = {value(chance)}")
            if chance.random() < 0.1:
                lines.append(f'pull-from-mirror = "{chance.choice(("all", "tag-only", "digest-only", "none"))}"')
    return "\n".join(lines)


def write_sets(folder: Path) -> Iterator[Path]:
    """Write every set of files below a folder of its own."""
    chance = random.Random(SEED)  # noqa: S311 - a seeded test, no secret
    for number in range(SETS):
        root = folder / str(number)
        for each in FOLDERS:
            (root / each.lstrip("/")).mkdir(parents=True)
        for name in chance.sample(FILES, chance.choice((1, 1, 2, 3, 4))):
            file = root / name.lstrip("/")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text(chance))
        yield root


def ours(root: Path) -> RegistriesConf | str:
    """Return what we read below a folder; our words if we refuse it."""
    files = ConfigurationFiles([Mount(each, str(root / each.lstrip("/"))) for each in FOLDERS])
    try:
        return read_configuration(lambda _: True, files.read, files.glob)
    except UnreadableConfiguration as error:
        return str(error)


def shape(endpoint: Endpoint) -> dict[str, Any]:
    """Return an endpoint as the program prints it."""
    return {"location": endpoint.location, "insecure": endpoint.insecure}


def answer(configuration: RegistriesConf, name: str) -> dict[str, Any] | None:
    """Return what we find for a name, as the program prints it."""
    entry = configuration.find(name)
    if entry is None:
        return None
    return {"prefix": entry.prefix, "endpoint": shape(entry.endpoint), "mirrors": [*map(shape, entry.mirrors)]}


def test_every_set_of_files_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    roots = list(write_sets(tmp_path))
    questions = "".join(json.dumps({"root": str(root), "names": NAMES}) + "\n" for root in roots)
    done = subprocess.run(
        [binary("loaders-chain"), "find"], input=questions, capture_output=True, text=True, timeout=120, check=True
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == SETS

    refused = 0
    for root, their in zip(roots, theirs, strict=True):
        our = ours(root)
        contents = {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}
        assert isinstance(our, str) == bool(their["error"]), (contents, our, their["error"])
        if isinstance(our, RegistriesConf):
            assert [answer(our, name) for name in NAMES] == their["entries"], contents
        else:
            refused += 1
    assert SETS / 50 < refused < SETS / 2, "hardly anything was refused, or hardly anything read"
