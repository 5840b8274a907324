"""What hides what inside one root: the plan says it of the names in it, and the runtime's own loader finds it so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_trust.core.layout import Layout, Reader, possible_readers
from registry_trust.core.mirrors import mirror_notices
from registry_trust.core.observed import Target
from registry_trust.core.plan import make_plan
from registry_trust.core.report import RegistryRow
from tests.rows import message_of, reason_of
from tools.authority import Authority
from tools.cluster.loaders import Loaders
from tools.trials.roots import REGISTRY, Root, both, wanted

pytestmark = pytest.mark.tools("oracle")

OURS, THEIRS = Authority.create("ours"), Authority.create("theirs")
HOST, PORT = REGISTRY.split(":")
SPELLED = f"{HOST}_{PORT}_"


@dataclass(frozen=True)
class Case:
    """Another process's entry in a root that is written in one layout and read by one of the readers.

    Attributes:
        readers: who may read it, for all that is known; the loader is asked as the last of them.
        without: the plan's reason where the entry was there first.
        beside: the plan's reason where it came to an entry of ours.
        read: whose CA the loader finds in either case, after the next pass.
    """

    layout: Layout
    readers: tuple[Reader, ...]
    name: str
    content: str
    without: str
    beside: str
    read: tuple[str, str]


D, C = Layout.DOCKER, Layout.CONTAINERD
BY_CONTAINERD, CLASSIC, OF_CONTAINERD = (Reader.CONTAINERD,), (Reader.DOCKERD,), (Reader.DOCKERD_CONTAINERD,)
UNKNOWN = CLASSIC + OF_CONTAINERD
LOADERS = {
    Reader.DOCKERD: Layout.DOCKER,
    Reader.CONTAINERS: Layout.CONTAINERS,
    Reader.CONTAINERD: Layout.CONTAINERD,
    Reader.DOCKERD_CONTAINERD: Layout.CONTAINERD,
}
"""Whose code each reader runs; dockerd calls containerd's for its containerd image store (moby daemon/hosts.go)."""

THEIR, OUR, NONE = "CN=theirs", "CN=ours", ""
CARRIED, NOT_FOLLOWED = "MirrorsCarried", "MirrorsNotFollowed"
CASES = {
    "the other spelling": Case(C, BY_CONTAINERD, REGISTRY, "ca.crt", "WouldShadow", "", (THEIR, OUR)),
    "_default": Case(C, BY_CONTAINERD, "_default", "ca.crt", CARRIED, CARRIED, (THEIR, OUR + THEIR)),
    "_default with a hosts.toml": Case(C, BY_CONTAINERD, "_default", "hosts.toml", CARRIED, CARRIED, (NONE, OUR)),
    "_default with a key that containerd does not know": Case(
        C, BY_CONTAINERD, "_default", "rewrite", "WouldShadow", NOT_FOLLOWED, (NONE, OUR)
    ),
    "an empty _default": Case(C, BY_CONTAINERD, "_default", "", "", "", (NONE, OUR)),
    "a foreign hosts.toml, spelled as containerd asks first": Case(
        D, BY_CONTAINERD, SPELLED, "hosts.toml", "Shadowed", "Shadowed", (NONE, NONE)
    ),
    "an empty directory, spelled so": Case(D, BY_CONTAINERD, SPELLED, "", "Shadowed", "Shadowed", (NONE, NONE)),
    "a link that leads nowhere, spelled so": Case(D, BY_CONTAINERD, SPELLED, "link", "", "", (NONE, OUR)),
    "_default beside dockerd's names": Case(
        D, BY_CONTAINERD, "_default", "ca.crt", CARRIED, CARRIED, (THEIR, OUR + THEIR)
    ),
    "containerd's spelling, for dockerd's classic store": Case(D, CLASSIC, SPELLED, "ca.crt", "", "", (NONE, OUR)),
    "_default, for dockerd's classic store": Case(D, CLASSIC, "_default", "ca.crt", "", "", (NONE, OUR)),
    "_default, for dockerd's containerd store": Case(
        D, OF_CONTAINERD, "_default", "ca.crt", CARRIED, CARRIED, (THEIR, OUR + THEIR)
    ),
    "mirrors in _default, for dockerd's containerd store": Case(
        D, OF_CONTAINERD, "_default", "hosts.toml", CARRIED, CARRIED, (NONE, OUR)
    ),
    "containerd's spelling, for dockerd's containerd store": Case(
        D, OF_CONTAINERD, SPELLED, "hosts.toml", "Shadowed", "Shadowed", (NONE, NONE)
    ),
    "_default, for a dockerd of an unknown store": Case(
        D, UNKNOWN, "_default", "ca.crt", CARRIED, CARRIED, (THEIR, OUR + THEIR)
    ),
    "containerd's spelling, for a dockerd of an unknown store": Case(
        D, UNKNOWN, SPELLED, "hosts.toml", "Shadowed", "Shadowed", (NONE, NONE)
    ),
}


@pytest.fixture(scope="module")
def program() -> Iterator[Loaders]:
    """Start the loaders program once."""
    with Loaders() as started:
        yield started


def lay_down(root: Root, case: Case) -> None:
    """Put another process's entry into the root."""
    place = root.path / case.name
    if case.content == "link":
        place.symlink_to("nowhere")
        return
    place.mkdir()
    if case.content in ("hosts.toml", "rewrite"):
        key = "rewrite = {}\n" if case.content == "rewrite" else ""
        (place / "hosts.toml").write_text(f'server = "https://{REGISTRY}"\n{key}\n[host]\n')
    elif case.content:
        (place / case.content).write_bytes(THEIRS.pem)


def row_of(root: Root, case: Case) -> RegistryRow:
    """Return what the plan says of the registry."""
    path = str(root.path)
    target = Target(path, case.layout, (path,), readers=case.readers)
    (row,) = make_plan(target, wanted(OURS.pem), {path: root.observe()}).rows
    return row


def read(program: Loaders, root: Root, case: Case) -> str:
    """Return whose CA the reader's own loader finds; nothing where it finds none."""
    found = program.read(LOADERS[case.readers[-1]], root.path, REGISTRY)
    assert found.ok, found.error
    return "".join(found.ca_subjects)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_plan_says_what_the_loader_finds(program: Loaders, tmp_path: Path, case: Case) -> None:
    first, second = (Root(tmp_path / name, case.layout, case.readers) for name in ("first", "second"))
    lay_down(first, case)
    assert (reason_of(row_of(first, case)), read(program, first, case)) == (case.without, case.read[0])

    second.bring_well(wanted(OURS.pem))
    assert read(program, second, case) == OUR
    lay_down(second, case)
    row = row_of(second, case)
    second.bring(wanted(OURS.pem))
    assert (reason_of(row), read(program, second, case)) == (case.beside, case.read[1])
    if Reader.DOCKERD in case.readers:
        classic = program.read(Layout.DOCKER, second.path, REGISTRY)
        assert (classic.error, classic.ca_subjects) == ("", (OUR,)), "the classic store reads what it read before"
    assert case.beside == "" or f"{second.path}/{case.name}" in message_of(row)
    assert case.beside == "" or ("is not known here" in message_of(row)) is (len(case.readers) > 1)

    (second.path / case.name).rename(tmp_path / "moved-away")
    second.bring_well(wanted(OURS.pem))
    assert (reason_of(row_of(second, case)), read(program, second, case)) == ("", OUR)


@pytest.mark.parametrize(
    "registry", ["docker.io", "Harbor.Corp.Example:5000", "Harbor.corp.example", "[2001:DB8::1]:5000"]
)
@pytest.mark.parametrize("reader", [Reader.CONTAINERS, Reader.CONTAINERD, Reader.DOCKERD_CONTAINERD, Reader.DOCKERD])
def test_docker_hub_and_upper_case_are_read_as_written(
    program: Loaders, tmp_path: Path, reader: Reader, registry: str
) -> None:
    layout = next(layout for layout in Layout if reader in possible_readers(layout))
    root = Root(tmp_path / "root", layout)

    root.bring_well(wanted(OURS.pem, registry=registry))

    found = program.read(LOADERS[reader], root.path, registry)
    assert found.ok, found.error
    assert found.ca_subjects == (OUR,)


def test_names_that_differ_in_case_alone_are_two_registries(program: Loaders, tmp_path: Path) -> None:
    root = Root(tmp_path / "root", Layout.CONTAINERD)
    lower, upper = "harbor.corp.example:5000", "Harbor.corp.example:5000"

    root.bring_well(both(wanted(OURS.pem, registry=lower), wanted(THEIRS.pem, registry=upper)))

    for registry, subject in ((lower, OUR), (upper, THEIR)):
        assert program.read(Layout.CONTAINERD, root.path, registry).ca_subjects == (subject,)


def test_the_classic_store_of_dockerd_looks_for_no_directory_of_docker_hub(tmp_path: Path) -> None:
    root = Root(tmp_path / "root", Layout.DOCKER)
    root.bring_well(both(wanted(OURS.pem, registry="docker.io"), wanted(OURS.pem)))

    with Loaders(program="loaders-moby") as dockerd:
        assert dockerd.read(Layout.DOCKER, root.path, "docker.io").ca_subjects == ()
        assert dockerd.read(Layout.DOCKER, root.path, REGISTRY).ca_subjects == (OUR,)


def test_the_line_that_is_said_to_be_added_to_a_mirror_makes_its_loader_read_our_ca(
    program: Loaders, tmp_path: Path
) -> None:
    root = Root(tmp_path / "root", Layout.CONTAINERD)
    root.bring_well(wanted(OURS.pem))
    place = f'[host."https://{REGISTRY}"]'
    mirror = root.path / "docker.io" / "hosts.toml"
    mirror.parent.mkdir()
    mirror.write_text(f"{place}\n")
    target = Target(str(root.path), Layout.CONTAINERD)

    assert program.read(Layout.CONTAINERD, root.path, "docker.io").ca_subjects == ()
    (notice,) = mirror_notices(target, wanted(OURS.pem), {str(root.path): root.observe()})
    head, _, line = notice.message.rpartition(": ")
    assert head.endswith(f"add this line to {place}")
    mirror.write_text(f"{place}\n{line}\n")

    assert program.read(Layout.CONTAINERD, root.path, "docker.io").ca_subjects == (OUR,)
    assert list(mirror_notices(target, wanted(OURS.pem), {str(root.path): root.observe()})) == []
