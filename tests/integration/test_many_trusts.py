"""Many trusts for one registry: they add up, keep their order, conflict only where they meet, and hand over."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_trust.agent.single_pass import apply_once
from registry_trust.core import layout as layouts
from registry_trust.core.bundle import Bundle, ClientPairRef, IndexedTrust, TrustContent, TrustState, reference_of
from registry_trust.core.desired import desired_state
from registry_trust.core.layout import Layout
from tools.authority import Authority
from tools.cluster.loaders import Expectation, Loaders, read
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, Installation, trust

pytestmark = pytest.mark.tools("loaders")

MANY = 100
SHARED = "shared.example:5000"
ROOTS = [Authority.create(f"root {number}") for number in range(MANY)]
CLIENTS, OTHERS = Authority.create("clients"), Authority.create("other clients")


@pytest.fixture(scope="module")
def nodes(installation: Installation) -> Installation:
    """Two nodes with an agent each, in two zones."""
    for name, zone in (("east", "a"), ("west", "b")):
        installation.add_node(name, {"zone": zone})
        installation.start_agent(name, ("docker", "containerd"))
    return installation


def inline(*authorities: Authority) -> list[dict[str, Any]]:
    return [{"inline": authority.pem.decode()} for authority in authorities]


def numbered(number: int, *authorities: Authority) -> dict[str, Any]:
    return trust(f"many-{number:03d}", registries=[SHARED], caCertificates=inline(*authorities))


def union(*authorities: Authority) -> bytes:
    pems = {reference_of(authority.pem): authority.pem for authority in authorities}
    return b"".join(pems[reference] for reference in sorted(pems))


def file(installation: Installation, node: str, registry: str = SHARED, name: str = "ca.crt") -> Path:
    return installation.agents[node].roots["docker"] / registry / name


def status_writes(installation: Installation) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.operator_port}/metrics", timeout=5) as answer:
        page = answer.read().decode()
    found = re.search(r'^registry_trust_status_writes_total\{result="success"\} (\d+)', page, re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def many(nodes: Installation) -> Installation:
    """A hundred trusts for one registry, each with a CA of its own, applied at once and Ready."""
    apply_all(nodes)
    return nodes


def apply_all(nodes: Installation) -> None:
    wanted = [numbered(number, root) for number, root in enumerate(ROOTS)]
    there = {each["metadata"]["name"]: each["spec"] for each in nodes.plane.kubectl.get("registrytrusts")["items"]}
    changed = [each for each in wanted if not each["spec"].items() <= there.get(each["metadata"]["name"], {}).items()]
    if changed:
        nodes.plane.kubectl.apply(*changed)
    everything = union(*ROOTS)
    wait_until(
        lambda: all(_holds(file(nodes, node), everything) for node in nodes.agents),
        "every node has every CA in one file",
        within=60,
    )
    names = [f"registrytrust/many-{number:03d}" for number in range(MANY)]
    nodes.plane.kubectl("wait", "--for=condition=Ready", *names, "--timeout=60s", timeout=90)


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def test_a_hundred_trusts_are_one_file_that_the_runtimes_load_whole(many: Installation) -> None:
    roots = many.agents["east"].roots
    with Loaders(many.plane.run, system_roots=False) as loaders:
        for layout in (Layout.DOCKER, Layout.CONTAINERD):
            found = loaders.read(layout, roots[layout.value], SHARED)
            assert found.ok, found.error
            assert sorted(found.ca_subjects) == sorted(f"CN=root {number}" for number in range(MANY))
    rows = many.plane.kubectl.get("nodetrust", "east")["status"]["registries"]
    assert {row["name"]: row["state"] for row in rows}[SHARED] == "Current"


def test_a_change_of_one_of_a_hundred_writes_the_status_of_that_one(many: Installation) -> None:
    before = status_writes(many)

    many.plane.kubectl.apply(numbered(7, ROOTS[7], Authority.create("a second root")))

    many.wait_for("many-007", "Ready")
    wait_until(
        lambda: many.status("many-007")["certificateCount"] == 2 and many.condition("many-007", "Ready"),
        "the new certificate is in the status",
    )
    assert 1 <= status_writes(many) - before <= 4
    many.plane.kubectl.apply(numbered(7, ROOTS[7]))
    many.wait_for("many-007", "Ready")


@pytest.fixture
def confirmed(many: Installation) -> Iterator[Installation]:
    """Removals are confirmed in advance, so no test waits for their grace; the hundred are there again afterwards."""
    annotate = ("annotate", "--overwrite", "-n", NAMESPACE, "secret", BUNDLE)
    many.plane.kubectl(*annotate, f"registrytrust.io/confirm-removal={10**9}")
    yield many
    many.plane.kubectl(*annotate, "registrytrust.io/confirm-removal-")
    apply_all(many)


def test_a_reader_sees_all_that_stays_while_one_of_a_hundred_is_deleted(confirmed: Installation) -> None:
    path = file(confirmed, "west")
    before, after = union(*ROOTS), union(*ROOTS[:-1])
    wait_until(lambda: _holds(path, before), "the hundred are there", within=20)
    torn: list[bytes] = []
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            content = path.read_bytes()
            (seen.add if content in (before, after) else torn.append)(content)

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        confirmed.plane.kubectl("delete", "registrytrust", f"many-{MANY - 1:03d}")
        wait_until(lambda: after in seen, "its CA is gone, and no other", within=60)
    finally:
        over.set()
        reader.join(10)
    assert not torn
    assert seen == {before, after}


def test_a_deletion_hands_a_registry_over_to_another_trust_without_a_gap(confirmed: Installation) -> None:
    pair = CLIENTS.client("node")
    confirmed.secret("handed", {"tls.crt": pair.certificate, "tls.key": pair.key})
    spec = {
        "registries": ["handed.example"],
        "caCertificates": inline(ROOTS[0]),
        "clientCertificates": [{"secretRef": {"name": "handed"}}],
    }
    confirmed.trust("hands-over", **spec)
    confirmed.wait_for("hands-over", "Ready")
    roots = confirmed.agents["east"].roots
    expected = Expectation(cas=1, pairs=1)

    with Loaders(confirmed.plane.run, system_roots=False) as loaders:
        spins = [
            loaders.spin_read(layout, roots[layout.value], "handed.example", expect=expected)
            for layout in (Layout.DOCKER, Layout.CONTAINERD)
        ]
        confirmed.trust("takes-over", **spec)
        confirmed.wait_for("takes-over", "Ready")
        confirmed.plane.kubectl("delete", "registrytrust", "hands-over")
        owner = roots["docker"] / ".registry-trust" / "handed.example" / "owner.json"
        wait_until(lambda: "hands-over" not in owner.read_text(), "the entry is the other trust's alone", within=60)
        counts = [spin.stop() for spin in spins]

    for count in counts:
        assert count.rounds > 10
        assert count.failures == 0, count.errors


def test_two_pairs_of_one_name_conflict_only_on_the_nodes_that_both_trusts_select(nodes: Installation) -> None:
    pairs = {}
    for name, authority in (("older", CLIENTS), ("younger", OTHERS)):
        pairs[name] = authority.client(name)
        nodes.secret(name, {"tls.crt": pairs[name].certificate, "tls.key": pairs[name].key})
    registries = ["met.example"]
    zone = {"matchLabels": {"zone": "a"}}
    nodes.trust(
        "older", registries=registries, clientCertificates=[{"secretRef": {"name": "older"}}], nodeSelector=zone
    )
    nodes.wait_for("older", "Ready")

    nodes.trust("younger", registries=registries, clientCertificates=[{"secretRef": {"name": "younger"}}])

    assert nodes.wait_for("younger", "Ready", "False")["reason"] in ("NodesFailing", "NodesPending")

    def settled() -> bool:
        status = nodes.status("younger")
        failing = [(each["name"], each["reason"]) for each in status.get("failingNodes", ())]
        return status["nodes"].get("current") == 1 and failing == [("east", "ClientCertificateConflict")]

    wait_until(settled, "one node is current, and on the other the pairs conflict")
    assert nodes.condition("older", "Ready")["status"] == "True"
    assert file(nodes, "east", "met.example", "client.cert").read_bytes() == pairs["older"].certificate
    assert file(nodes, "west", "met.example", "client.cert").read_bytes() == pairs["younger"].certificate


def test_a_pair_that_an_older_trusts_pair_hides_is_told_of_the_younger(nodes: Installation) -> None:
    for name in ("shown", "hidden"):
        pair = CLIENTS.client(name)
        nodes.secret(name, {"tls.crt": pair.certificate, "tls.key": pair.key})
        clients = [{"name": name, "secretRef": {"name": name}}]
        nodes.trust(name, registries=["two-pairs.example"], clientCertificates=clients)
        nodes.wait_for(name, "Ready")

    accepted = nodes.condition("hidden", "Accepted")
    assert accepted["reason"] == "ValidWithWarnings"
    assert "UnreachableClientCertificate: spec.clientCertificates[0]: on nodes that both trusts" in accepted["message"]
    assert "of trust shown, which is older" in accepted["message"]
    assert nodes.condition("shown", "Accepted")["reason"] == "Valid"


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("count", [2, 101])
def test_a_runtime_tries_the_older_trusts_pair_first_whatever_the_names(
    layout: Layout, count: int, tmp_path: Path
) -> None:
    pairs = [CLIENTS.client(f"node {number}") for number in range(count)]
    blobs = {reference_of(data): data for pair in pairs for data in (pair.certificate, pair.key)}
    trusts = tuple(
        IndexedTrust(
            f"t{count - number}",
            "uid",
            1,
            TrustState.ACTIVE,
            TrustContent(
                (SHARED,),
                client_certificates=(
                    ClientPairRef(f"z{count - number:03d}", reference_of(pair.certificate), reference_of(pair.key)),
                ),
            ),
        )
        for number, pair in enumerate(pairs)
    )

    apply_once(str(tmp_path), layouts.Layout(layout.value), desired_state(Bundle(1, trusts, blobs), {}))

    assert read(layout, tmp_path, SHARED).leaves == tuple(f"CN=node {number}" for number in range(count))
