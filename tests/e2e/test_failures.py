"""Failures: whatever is killed, deleted or emptied, files never vanish, and everything converges afterwards."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Self

import pytest

from tests.e2e.three_nodes import SINGLE, STOCK, ThreeNodes
from tools.cluster import canaries
from tools.cluster.kubectl import KubectlError
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, TRUST_NAMESPACE


class Watcher:
    """Looks at the entries all the time, and remembers when one of them was not there."""

    def __init__(self, nodes: ThreeNodes) -> None:
        self.expected = {entry: sorted(p.name for p in entry.iterdir()) for entry in nodes.entries()}
        self.missing: list[str] = []
        self.looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            self.looks += 1
            for entry, names in self.expected.items():
                try:
                    found = sorted(p.name for p in entry.iterdir())
                except OSError as error:
                    self.missing.append(f"{entry}: {error}")
                    continue
                if found != names:
                    self.missing.append(f"{entry}: {found}")


@pytest.fixture
def trusted(clean: ThreeNodes) -> ThreeNodes:
    """Give three nodes with one trust on their disks."""
    clean.sources()
    clean.trust()
    wait_until(
        lambda: clean.kubectl.get("registrytrust", "harbor")["status"].get("nodes", {}).get("current") == 2,
        "two nodes are current",
        within=30,
    )
    return clean


def pods(nodes: ThreeNodes, component: str) -> list[str]:
    selector = f"app.kubernetes.io/component={component}"
    names: str = nodes.kubectl("-n", NAMESPACE, "get", "pods", "-l", selector, "-o", "name")
    return names.split()


def test_operator_and_agents_killed_at_any_time_converge_and_no_file_vanishes(trusted: ThreeNodes) -> None:
    with Watcher(trusted) as watcher:
        for round_number in range(3):
            for component in ("operator", "agent"):
                names = pods(trusted, component)
                trusted.kubectl("-n", NAMESPACE, "delete", "--wait=false", "--grace-period=0", "--force", *names)
            # In the middle of it, something to do.
            trusted.trust("other", registries=[f"other-{round_number}.example"])
            trusted.sources("other")
            trusted.kubectl(
                "-n", NAMESPACE, "rollout", "status", "daemonset/registry-trust-agent", "--timeout=90s", timeout=100
            )
            trusted.wait_for("other", "Accepted", within=90)
    assert watcher.missing == []
    assert watcher.looks > 100
    wait_until(lambda: trusted.report(SINGLE).get("registryCount") == 2, "the agent has both registries", within=60)
    assert trusted.pull(SINGLE) == ""


def test_a_bundle_that_is_emptied_deleted_and_restored_removes_no_file(trusted: ThreeNodes) -> None:
    secret = trusted.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)
    kept = {key: secret["metadata"].get(key, {}) for key in ("name", "namespace", "labels", "annotations")}
    with Watcher(trusted) as watcher:
        trusted.kubectl("-n", NAMESPACE, "scale", "deployment/registry-trust-operator", "--replicas=0")
        wait_until(lambda: not pods(trusted, "operator"), "no operator runs", within=60)
        trusted.kubectl(
            "-n", NAMESPACE, "patch", "secret", BUNDLE, "--type=json", "-p", '[{"op":"remove","path":"/data"}]'
        )
        looks = watcher.looks
        wait_until(lambda: watcher.looks > looks + 300, "a while without data", within=60)
        trusted.kubectl("-n", NAMESPACE, "delete", "secret", BUNDLE)
        looks = watcher.looks
        wait_until(lambda: watcher.looks > looks + 300, "a while without the Secret", within=60)
        trusted.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": kept, "type": secret["type"]})
        trusted.kubectl("-n", NAMESPACE, "scale", "deployment/registry-trust-operator", "--replicas=2")
        uid = trusted.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)["metadata"]["uid"]
        wait_until(
            lambda: trusted.report(SINGLE).get("bundle", {}).get("uid") == uid,
            "the agents have the new bundle",
            within=90,
        )
    assert watcher.missing == []
    assert trusted.pull(STOCK) == ""


def test_deleting_the_crd_removes_no_file(trusted: ThreeNodes) -> None:
    crd = trusted.kubectl.get("crd", "registrytrusts.registrytrust.io")
    clean = {
        "apiVersion": crd["apiVersion"],
        "kind": crd["kind"],
        "metadata": {key: crd["metadata"].get(key, {}) for key in ("name", "labels", "annotations")},
        "spec": crd["spec"],
    }
    with Watcher(trusted) as watcher:
        trusted.kubectl("delete", "crd", "registrytrusts.registrytrust.io", "--wait=true")
        gone = time.monotonic()
        # Longer than a trust that is deleted by itself would be served.
        wait_until(lambda: time.monotonic() > gone + 45, "45 s without the CRD", within=60, every=1)
        trusted.kubectl.apply(clean)
        trusted.kubectl.wait_for_kinds("registrytrusts.registrytrust.io")
        trusted.trust()
        trusted.wait_for("harbor", "Accepted", within=90)
    assert watcher.missing == []


def test_the_report_of_a_deleted_node_goes_with_it(trusted: ThreeNodes) -> None:
    trusted.node(STOCK).processes["kubelet"].stop()
    trusted.kubectl("delete", "node", STOCK)
    try:
        wait_until(lambda: not trusted.report(STOCK), "its NodeTrust is gone", within=90)
        selected = trusted.kubectl.get("registrytrust", "harbor")["status"]["nodes"]
        wait_until(
            lambda: trusted.kubectl.get("registrytrust", "harbor")["status"]["nodes"]["selected"] == 2,
            f"the node is not counted any more (first seen: {selected})",
            within=30,
        )
    finally:
        trusted.node(STOCK).start_kubelet()
        trusted.node(STOCK).wait_until_ready()
    wait_until(lambda: trusted.report(STOCK).get("registryCount") == 1, "the node that came back reports", within=90)


def test_a_stolen_agent_token_writes_no_other_report_and_reads_no_other_secret(trusted: ThreeNodes) -> None:
    pod = next(
        body["metadata"]["name"]
        for body in trusted.kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=agent")["items"]
        if body["spec"]["nodeName"] == SINGLE
    )
    stolen = trusted.cluster.plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent", pod=pod)
    thief = type(trusted.kubectl)(stolen, trusted.cluster.run.subfolder("thief"))
    body = {
        "apiVersion": "registrytrust.io/v1alpha1",
        "kind": "NodeTrust",
        "metadata": {"name": STOCK},
        "status": {"runtime": "x"},
    }

    def refused(*arguments: str, text: str = "") -> str:
        with pytest.raises(KubectlError) as caught:
            thief(*arguments, input=text)
        return str(caught.value)

    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=thief", "-f", "-")
    assert "own node" in refused(*apply, text=json.dumps(body))
    assert "forbidden" in refused("get", "secret", "harbor-client", "-n", TRUST_NAMESPACE).lower()
    assert "forbidden" in refused("get", "secrets", "-n", NAMESPACE).lower()
    assert "forbidden" in refused("get", "secrets", "-n", TRUST_NAMESPACE).lower()
    assert "forbidden" in refused("get", "secrets", "-A").lower()
    assert "forbidden" in refused("delete", "nodetrust", SINGLE).lower()
    assert (
        "forbidden"
        in refused("patch", "node", SINGLE, "--type=merge", "-p", '{"metadata":{"labels":{"x":"y"}}}').lower()
    )
    assert thief("get", "secret", BUNDLE, "-n", NAMESPACE, "-o", "name").strip() == f"secret/{BUNDLE}"


def test_a_key_is_found_nowhere_but_in_its_own_file(trusted: ThreeNodes) -> None:
    secret = trusted.kubectl.get("secret", "harbor-client", "-n", TRUST_NAMESPACE)
    key = base64.b64decode(secret["data"]["tls.key"])
    # Canonical form on disk is PKCS#8, as the test's own: its lines are the canary.
    lines = [line for line in key.splitlines() if line and not line.startswith(b"-")]
    canaries.require_none(trusted.shown())
    holders = set()
    for node in trusted.cluster.nodes:
        for path in node.folder.joinpath("etc").rglob("*"):
            if path.is_file() and not path.is_symlink() and lines[1] in path.read_bytes():
                holders.add(path.name)
                assert path.stat().st_mode & 0o777 == 0o600, path
    assert holders == {"client.key"}
