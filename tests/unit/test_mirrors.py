"""Mirrors of others: which hosts of a `hosts.toml` have no CA, and the line that is said to be added."""

from __future__ import annotations

import pytest

from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.layout import Layout, Material, Reader, entry_name
from registry_trust.core.mirrors import mirror_notices, unverified_hosts
from registry_trust.core.observed import ForeignEntry, ObservedRoot, OwnEntry, Target, UnverifiedHost

ROOT, HARBOR = "/etc/containerd/certs.d", "harbor.corp.example:5000"
MIRROR = f'[host."https://{HARBOR}"]'
TARGET, MATERIAL = Target(ROOT, Layout.CONTAINERD), Material((b"ca",))
LED = (UnverifiedHost(HARBOR, MIRROR),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MIRROR, LED),
        (f'[host."{HARBOR}/v2/hub"]', (UnverifiedHost(HARBOR, f'[host."{HARBOR}/v2/hub"]'),)),
        (f'ca = "ca.crt"\n{MIRROR}', LED),
        (f'{MIRROR}\nca = "ca.crt"', ()),
        (f'{MIRROR}\nca = ["ca.crt"]', ()),
        (f"{MIRROR}\nskip_verify = true", ()),
        (f'[host."http://{HARBOR}"]', ()),
        (f'server = "https://{HARBOR}"', (UnverifiedHost(HARBOR, ""),)),
        (f'server = "https://{HARBOR}"\nca = "ca.crt"\n[host]', ()),
        ("server = 1\nhost = 2", ()),
        ('[host."https://[::1"]', ()),
        ("[" * 5000, ()),
        ("\xff", ()),
    ],
)
def test_each_host_of_a_file_needs_a_ca_of_its_own(text: str, expected: tuple[UnverifiedHost, ...]) -> None:
    assert unverified_hosts(text.encode("latin-1")) == expected


def said(
    name: str = "docker.io",
    hosts: tuple[UnverifiedHost, ...] = LED,
    *,
    target: Target = TARGET,
    material: Material = MATERIAL,
    linked: bool = True,
) -> list[str]:
    """Return what is said of another process's entry beside ours."""
    ours = entry_name(target.layout, HARBOR)
    own = OwnEntry(HARBOR, "0123456789abcdef-1" if linked else "", "0123456789abcdef", ("a",), intact=True)
    root = ObservedRoot({ours: own}, {name: ForeignEntry("a directory", unverified=hosts)})
    desired = Desired({HARBOR: DesiredRegistry(HARBOR, ("a",), material)})
    return [str(notice) for notice in mirror_notices(target, desired, {ROOT: root})]


@pytest.mark.parametrize("name", ["docker.io", "_default"])
def test_the_line_to_add_is_said_with_its_place(name: str) -> None:
    (notice,) = said(name)

    assert notice == (
        f"RuntimeIgnoresTLS: {ROOT}/{name}/hosts.toml leads to {HARBOR} without its CA; add this line to {MIRROR}: "
        f'ca = ["{ROOT}/harbor.corp.example_5000_/ca.crt"]'
    )
    assert "add this line before its first table: ca" in said(hosts=(UnverifiedHost(HARBOR, ""),))[0]


def test_nothing_is_said_where_no_reader_no_registry_or_no_ca_of_ours_is_concerned() -> None:
    assert said(hosts=(UnverifiedHost("other.example", "[host]"),)) == []
    assert said(HARBOR) == [], "the registry's own directory is somebody else's: a row says so"
    assert said(material=Material()) == []
    assert said(linked=False) == []
    assert said(target=Target(ROOT, Layout.DOCKER, readers=(Reader.DOCKERD,))) == []
    assert said(target=Target(ROOT, Layout.CONTAINERD, standby=True)) == []
