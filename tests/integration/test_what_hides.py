"""What hides what inside one root: the plan says it of the names in it, and the runtime's own loader finds it so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_trust.core.layout import Layout
from registry_trust.core.plan import Target, make_plan
from registry_trust.core.report import RegistryRow
from tests.cluster import loaders
from tests.cluster.loaders import Loaders
from tests.cluster.pki import Authority
from tests.integration.roots import REGISTRY, Root, wanted

pytestmark = pytest.mark.tools("oracle")

OURS, THEIRS = Authority.create("ours"), Authority.create("theirs")
HOST, PORT = REGISTRY.split(":")
SPELLED = f"{HOST}_{PORT}_"


@dataclass(frozen=True)
class Case:
    """Somebody else's entry in a root that is written in one layout and read by the loader of another.

    Attributes:
        without: the plan's reason where the entry was there first.
        beside: the plan's reason where it came to an entry of ours.
        read: whose CA the loader finds in either case.
    """

    layout: Layout
    reader: Layout
    name: str
    content: str
    without: str
    beside: str
    read: tuple[str, str]


D, C = Layout.DOCKER, Layout.CONTAINERD
THEIR, OUR, NONE = "CN=theirs", "CN=ours", ""
CASES = {
    "the other spelling": Case(C, C, REGISTRY, "ca.crt", "WouldShadow", "", (THEIR, OUR)),
    "_default": Case(C, C, "_default", "ca.crt", "WouldShadow", "", (THEIR, OUR)),
    "_default with a hosts.toml": Case(C, C, "_default", "hosts.toml", "WouldShadow", "", (NONE, OUR)),
    "an empty _default": Case(C, C, "_default", "", "", "", (NONE, OUR)),
    "a foreign hosts.toml, spelled as containerd asks first": Case(
        D, C, SPELLED, "hosts.toml", "Shadowed", "Shadowed", (NONE, NONE)
    ),
    "an empty directory, spelled so": Case(D, C, SPELLED, "", "Shadowed", "Shadowed", (NONE, NONE)),
    "a link that leads nowhere, spelled so": Case(D, C, SPELLED, "link", "", "", (NONE, OUR)),
    "_default beside dockerd's names": Case(D, C, "_default", "ca.crt", "WouldShadow", "", (THEIR, OUR)),
    "containerd's spelling, for dockerd": Case(D, D, SPELLED, "ca.crt", "", "", (NONE, OUR)),
    "_default, for dockerd": Case(D, D, "_default", "ca.crt", "", "", (NONE, OUR)),
}


@pytest.fixture(scope="module")
def program() -> Iterator[Loaders]:
    """Start the loaders program once."""
    with Loaders() as started:
        yield started


def lay_down(root: Root, case: Case) -> None:
    """Put somebody else's entry into the root."""
    place = root.path / case.name
    if case.content == "link":
        place.symlink_to("nowhere")
        return
    place.mkdir()
    if case.content == "hosts.toml":
        (place / "hosts.toml").write_text(f'server = "https://{REGISTRY}"\n\n[host]\n')
    elif case.content:
        (place / case.content).write_bytes(THEIRS.pem)


def row_of(root: Root, case: Case) -> RegistryRow:
    """Return what the plan says of the registry."""
    path = str(root.path)
    target = Target(path, case.layout, (path,), reader=case.reader)
    (row,) = make_plan(target, wanted(OURS.pem), {path: root.observe()}).rows
    return row


def read(program: Loaders, root: Root, case: Case) -> str:
    """Return whose CA the reader's own loader finds; nothing where it finds none."""
    found = program.read(loaders.Layout(case.reader.value), root.path, REGISTRY)
    assert found.ok, found.error
    return "".join(found.ca_subjects)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_plan_says_what_the_loader_finds(program: Loaders, tmp_path: Path, case: Case) -> None:
    first, second = (Root(tmp_path / name, case.layout) for name in ("first", "second"))
    lay_down(first, case)
    assert (row_of(first, case).reason, read(program, first, case)) == (case.without, case.read[0])

    second.bring_well(wanted(OURS.pem))
    assert read(program, second, case) == OUR
    lay_down(second, case)
    row = row_of(second, case)
    assert (row.reason, read(program, second, case)) == (case.beside, case.read[1])
    assert case.beside == "" or f"{second.path}/{case.name}" in row.message

    (second.path / case.name).rename(tmp_path / "moved-away")
    assert (row_of(second, case).reason, read(program, second, case)) == ("", OUR)
