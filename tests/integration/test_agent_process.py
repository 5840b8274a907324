"""The agent as a process against a real API server, with the few rights that it needs and no others."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry_trust.api.crd import render_crds
from registry_trust.core.bundle import ClientPairRef, reference_of
from registry_trust.core.selection import Selector
from tests.integration.agent_site import AUTHORITY, BINDINGS, REGISTRY, RIGHTS, Site, answer, trust
from tests.integration.counting import counting
from tools.authority import Authority
from tools.cluster import canaries
from tools.cluster.control_plane import ControlPlane
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, Installation

SECOND = Authority.create("second CA")
PAIR = Authority.create("client CA").client("node")


@pytest.fixture(scope="module")
def grounds(plane: ControlPlane) -> Installation:
    """Give the API server the kinds, the bundle's empty Secret, and an account with an agent's rights."""
    plane.kubectl("apply", "--server-side", "-f", "-", input="\n---\n".join(render_crds().values()))
    plane.kubectl.wait_for_kinds("nodetrusts.registrytrust.io")
    plane.kubectl.apply(*RIGHTS)
    plane.kubectl.apply(*BINDINGS)
    return Installation(plane)


@pytest.fixture
def site(grounds: Installation, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Create a Node and an empty bundle Secret; end the agent afterwards."""
    node = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    grounds.add_node(node, {"pool": "blue"})
    kubectl = grounds.plane.kubectl
    kubectl("delete", "secret", BUNDLE, "-n", NAMESPACE, "--ignore-not-found")
    kubectl("create", "secret", "generic", BUNDLE, "-n", NAMESPACE, "--type=registrytrust.io/bundle")
    yield Site(grounds, node)
    grounds.stop()
    grounds.agents.clear()


def test_files_report_and_owner_follow_a_bundle(site: Site) -> None:
    agent = site.start()
    wait_until(lambda: answer(agent, "/healthz")[0] == 200, "the agent is alive", within=20)
    assert answer(agent, "/readyz")[0] == 503, "ready without a bundle and without files"

    pair = ClientPairRef("node", reference_of(PAIR.certificate), reference_of(PAIR.key))
    site.put(trust(client_certificates=(pair,)), blobs=(AUTHORITY.pem, PAIR.certificate, PAIR.key))

    status = site.wait_for_serial(1)
    entry = agent.root() / REGISTRY
    assert sorted(path.name for path in entry.iterdir()) == ["ca.crt", "node.cert", "node.key"]
    assert (entry / "ca.crt").read_bytes() == AUTHORITY.pem
    assert (entry / "node.key").stat().st_mode & 0o777 == 0o600
    assert [(row["name"], row["state"]) for row in status["registries"]] == [(REGISTRY, "Current")]
    assert [(row["layout"], row["state"]) for row in status["targets"]] == [("docker", "Read")]
    assert status["state"] == "Current"
    owner = site.report()["metadata"]["ownerReferences"]
    assert [(each["kind"], each["name"]) for each in owner] == [("Node", site.node)]
    assert owner[0]["uid"] == site.kubectl.get("node", site.node)["metadata"]["uid"]
    assert answer(agent, "/readyz")[0] == 200
    assert "registry_trust_agent_bundle_serial 1\n" in answer(agent, "/metrics")[1]


def test_files_stay_when_the_bundle_is_emptied_deleted_and_restored(site: Site) -> None:
    agent = site.start()
    site.put(trust(), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(1)
    certificate = agent.root() / REGISTRY / "ca.crt"
    before = certificate.stat().st_ino

    def notices(text: str) -> bool:
        return any(text in str(notice) for notice in site.report()["status"].get("notices", []))

    site.put_data({})
    wait_until(lambda: notices("BundleMissing"), "the report says that the bundle is empty", within=20)
    assert certificate.stat().st_ino == before
    site.put_data({"index.json": b"{ no json"})
    wait_until(lambda: notices("BundleUnreadable"), "the report says that the bundle is unreadable", within=20)
    assert certificate.stat().st_ino == before
    site.kubectl("delete", "secret", BUNDLE, "-n", NAMESPACE)
    wait_until(lambda: notices("was deleted"), "the report says that the bundle was deleted", within=20)
    assert certificate.stat().st_ino == before

    site.kubectl("create", "secret", "generic", BUNDLE, "-n", NAMESPACE, "--type=registrytrust.io/bundle")
    site.put(trust(), blobs=(AUTHORITY.pem,), serial=1)  # a new Secret, whose serial starts again
    wait_until(lambda: not notices("Bundle"), "the report says nothing of the bundle any more", within=20)
    assert certificate.stat().st_ino == before

    site.put(serial=2)  # an index with no trusts is a bundle
    site.wait_for_serial(2)
    assert not (agent.root() / REGISTRY).exists()


def test_three_rotations_open_no_connection_and_cost_one_request_each(site: Site) -> None:
    def written() -> int:
        """Return how many requests for reports the API server has answered."""
        lines = site.kubectl("get", "--raw", "/metrics").splitlines()
        ours = [line for line in lines if line.startswith("apiserver_request_total{") and '"nodetrusts"' in line]
        return sum(int(line.rpartition(" ")[2]) for line in ours if 'verb="APPLY"' in line)

    with counting(site.installation.plane.port) as counted:
        site.start(f"--api-server=https://127.0.0.1:{counted.port}")
        site.put(trust(), blobs=(AUTHORITY.pem,))
        site.wait_for_serial(1)
        opened, before = counted.connections, written()
        for _ in range(3):
            site.put(trust(), blobs=(AUTHORITY.pem,))
            site.wait_for_serial(site.serial)

        assert opened == 3, "two watches, and one for everything else"
        assert (counted.connections, written()) == (opened, before + 3)
        site.installation.agents[site.node].process.stop()


def test_a_lower_serial_of_the_same_secret_is_refused(site: Site) -> None:
    agent = site.start()
    site.put(trust(), blobs=(AUTHORITY.pem,), serial=9)
    site.wait_for_serial(9)

    site.put(serial=8)

    def refused() -> bool:
        return any(notice["reason"] == "RollbackRefused" for notice in site.report()["status"].get("notices", []))

    wait_until(refused, "the report says that serial 8 is refused", within=20)
    assert (agent.root() / REGISTRY / "ca.crt").exists()
    agent.process.stop()
    restarted = site.start()  # what was applied is remembered in the root
    wait_until(lambda: answer(restarted, "/readyz")[0] == 200, "the agent is ready on what it finds", within=20)
    wait_until(refused, "the report still says that serial 8 is refused", within=20)
    assert (agent.root() / REGISTRY / "ca.crt").exists()


def test_a_relabelled_node_follows(site: Site) -> None:
    agent = site.start()
    site.put(trust(selector=Selector((("pool", "green"),))), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(1)
    entry = agent.root() / REGISTRY
    assert not entry.exists()
    hashed = site.report()["status"]["labelsHash"]

    site.kubectl("label", "node", site.node, "pool=green", "--overwrite")
    wait_until(entry.exists, "the entry is there after the relabelling", within=20)
    wait_until(
        lambda: site.report()["status"]["labelsHash"] != hashed, "the report speaks of the new labels", within=20
    )

    site.kubectl("label", "node", site.node, "pool=blue", "--overwrite")
    wait_until(lambda: not entry.is_symlink(), "the entry is gone after the relabelling", within=20)


def test_drift_is_repaired_and_counted(site: Site) -> None:
    agent = site.start("--drift-interval=600")
    site.put(trust(), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(1)
    certificate = agent.root() / REGISTRY / "ca.crt"

    certificate.resolve().write_bytes(SECOND.pem)
    wait_until(lambda: certificate.read_bytes() == AUTHORITY.pem, "an edited file is repaired", within=20)
    (agent.root() / REGISTRY).unlink()
    wait_until(certificate.exists, "a removed link is repaired", within=20)
    (agent.root() / REGISTRY).unlink()
    shutil.rmtree(agent.root() / ".registry-trust")
    wait_until(certificate.exists, "a wiped root is written again", within=20)

    def counted() -> bool:
        notices = site.report()["status"].get("notices", [])
        return any(each["reason"] == "DriftRepaired" and each["message"].startswith("2 or more") for each in notices)

    wait_until(counted, "the report counts the repairs", within=20)
    assert "registry_trust_agent_ready 1\n" in answer(agent, "/metrics")[1]


def test_somebody_who_fights_back_is_named_and_costs_less_and_less(site: Site) -> None:
    agent = site.start()
    site.put(trust(), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(1)
    entry = agent.root() / REGISTRY

    def contested() -> bool:
        if entry.is_symlink():
            entry.unlink()
        rows = site.report()["status"]["registries"]
        return any(row["state"] == "Failed" and row.get("reason") == "Contested" for row in rows)

    wait_until(contested, "the report says that the entry is contested", within=60)


def test_a_foreign_directory_is_left_alone_and_named_until_it_is_gone(site: Site) -> None:
    agent = site.start()
    foreign = agent.root() / REGISTRY
    foreign.mkdir()
    (foreign / "ca.crt").write_bytes(SECOND.pem)

    site.put(trust(), blobs=(AUTHORITY.pem,))

    (row,) = site.wait_for_serial(1)["registries"]
    assert (row["state"], row["reason"]) == ("Failed", "ForeignFile")
    assert str(foreign) in row["message"]
    assert (foreign / "ca.crt").read_bytes() == SECOND.pem
    shutil.rmtree(foreign)
    wait_until((foreign / "ca.crt").exists, "the entry is written once the directory is gone", within=20)
    assert (foreign / "ca.crt").read_bytes() == AUTHORITY.pem


def test_files_and_watch_survive_a_restart_of_the_api_server(site: Site) -> None:
    agent = site.start()
    site.put(trust(), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(1)
    certificate = agent.root() / REGISTRY / "ca.crt"
    plane = site.installation.plane

    plane.stop_apiserver(crash=True)
    (agent.root() / REGISTRY).unlink()
    wait_until(certificate.exists, "drift is repaired while the API server is away", within=20)
    assert answer(agent, "/healthz")[0] == 200
    assert answer(agent, "/readyz")[0] == 200
    plane.start_apiserver()

    site.put(trust(ca_certificates=(reference_of(SECOND.pem),)), blobs=(SECOND.pem,))
    wait_until(lambda: certificate.read_bytes() == SECOND.pem, "the new bundle arrives", within=90)
    wait_until(lambda: site.report()["status"]["bundle"]["serial"] == 2, "the report follows", within=90)


def test_an_agent_that_starts_without_an_api_server_keeps_what_it_finds(site: Site) -> None:
    agent = site.start()
    site.put(trust(), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(1)
    agent.process.kill()
    plane = site.installation.plane
    plane.stop_apiserver()
    try:
        nowhere = plane.run.subfolder("no-account")  # no token and no CA either: the agent must live without them
        process = site.start_python(agent.root(), nowhere)
        again = replace(agent, process=process, port=site.port)
        wait_until(lambda: answer(again, "/readyz")[0] == 200, "the agent is ready on what it finds", within=20)
        assert (agent.root() / REGISTRY / "ca.crt").read_bytes() == AUTHORITY.pem
        assert answer(again, "/healthz")[0] == 200
        process.stop()
    finally:
        plane.start_apiserver()


def test_a_runtime_that_reads_elsewhere_is_named_until_its_configuration_is_cured(site: Site) -> None:
    configuration, certificates = (site.installation.plane.run.subfolder(f"containerd-{name}") for name in "ab")
    info = json.dumps({"status": {"nodeInfo": {"containerRuntimeVersion": "containerd://2.4.2"}}})
    site.kubectl("patch", "node", site.node, "--subresource=status", "--type=merge", f"--patch={info}")

    def configure(path: str) -> None:
        text = f'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "{path}"\n'
        (configuration / "config.toml").write_text(text)

    def targets(status: dict[str, Any]) -> dict[str, str]:
        return {row["path"]: row["state"] for row in status["targets"] if row["path"].startswith("/etc")}

    configure("/etc/elsewhere/certs.d")
    site.start(f"--runtime-config=/etc/containerd={configuration}", f"--root=/etc/containerd/certs.d={certificates}")
    site.put(trust(), blobs=(AUTHORITY.pem,))

    status = site.wait_for_serial(1)
    assert status["runtime"] == "containerd://2.4.2"
    assert targets(status) == {"/etc/elsewhere/certs.d": "NotRead"}
    assert status["state"] == "Failing"
    assert not list(certificates.iterdir())

    configure("/etc/containerd/certs.d")
    hosts = certificates / "harbor.example.test_5000_" / "hosts.toml"
    wait_until(hosts.exists, "the entry is written once containerd reads the root", within=20)
    read = {"/etc/containerd/certs.d": "Read"}
    wait_until(lambda: targets(site.report()["status"]) == read, "the report says so", within=20)

    (configuration / "config.toml").write_text("version = ")
    wait_until(lambda: "Unknown" in targets(site.report()["status"]).values(), "the report says Unknown", within=20)
    assert hosts.exists()


def test_a_node_created_anew_under_its_name_owns_the_report(site: Site) -> None:
    site.start()
    site.put(trust(), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(1)
    first = site.report()["metadata"]["ownerReferences"][0]["uid"]

    site.kubectl("delete", "node", site.node)
    site.installation.add_node(site.node, {"pool": "blue"})
    second = site.kubectl.get("node", site.node)["metadata"]["uid"]
    assert second != first

    def owners() -> list[str]:
        return [each["uid"] for each in site.report()["metadata"]["ownerReferences"]]

    wait_until(lambda: owners() == [second], "the report is owned by the new Node alone", within=30)


def test_the_agent_loads_the_standard_library_only_and_stays_small(site: Site) -> None:
    root = site.installation.plane.run.subfolder("small-docker")
    account = site.installation.plane.service_account_folder(NAMESPACE, "registry-trust-agent", node=site.node)
    process = site.start_python(root, account, "-S", "-X", "importtime")
    filler = tuple(Authority.create(f"CA {number}").pem * 200 for number in range(8))
    assert sum(map(len, filler)) * 4 / 3 > 900_000, "the bundle is far from the largest one"
    site.put(
        *(
            trust(f"t{number}", registries=(f"r{number}.example.test",), ca_certificates=(reference_of(pem),))
            for number, pem in enumerate(filler)
        ),
        blobs=filler,
    )
    site.wait_for_serial(1)
    site.put(trust(), blobs=(AUTHORITY.pem,))
    site.wait_for_serial(2)

    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    resident = int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])
    log = process.log.read_text()
    process.stop()
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in log.splitlines()
        if line.startswith("import time:")
    }
    assert "ssl" in imported, f"the list of imports is not complete: {sorted(imported)}"
    # "org": what the standard library's copy module tries on Jython
    assert imported - sys.stdlib_module_names - {"registry_trust", "imported package", "org"} == set()
    assert resident < 32 * 1024, f"{resident} KiB resident"


def test_no_secret_byte_reaches_log_report_or_page(site: Site) -> None:
    agent = site.start()
    pair = ClientPairRef("node", reference_of(PAIR.certificate), reference_of(PAIR.key))
    site.put(trust(client_certificates=(pair,)), blobs=(AUTHORITY.pem, PAIR.certificate, PAIR.key))
    site.wait_for_serial(1)
    site.put_data({"index.json": PAIR.key})
    wait_until(lambda: "BundleUnreadable" in json.dumps(site.report()), "the report says why", within=20)

    assert canaries.is_in((agent.root() / REGISTRY / "node.key").read_bytes())
    canaries.require_none({**site.installation.shown(), "log": agent.process.log.read_bytes()})
