"""The API server's CA is rotated: operator and agents go on, in the processes that they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from kubernetes.config import incluster_config

from registry_trust.controller.connection import Connector
from registry_trust.core.names import AGENT, OPERATOR
from tools.authority import Authority, write_file
from tools.cluster.control_plane import SERVICE_ADDRESS
from tools.cluster.kubeconfig import write_kubeconfig
from tools.cluster.ports import free_port
from tools.cluster.processes import start
from tools.cluster.waiting import wait_until
from tools.installation import NAMESPACE, REPOSITORY, Installation
from tools.trials import operator_in_pod

OLD, NEW = Authority.create("a CA of a registry"), Authority.create("another CA of a registry")
SOURCE = [{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}]


def serve_with(installation: Installation, authority: Authority) -> None:
    """Restart the API server with a serving certificate of that CA; clients of the test trust it, too."""
    plane = installation.plane
    plane.stop_apiserver()
    authority.server(["kubernetes", "localhost", "127.0.0.1", SERVICE_ADDRESS]).write(plane.folder, "apiserver")
    both = plane.authority.pem + authority.pem
    write_file(plane.ca_file, both)
    admin = plane.authority.client("admin", ["system:masters"])
    write_kubeconfig(plane.admin_kubeconfig, plane.url, both, admin)
    plane.start_apiserver()


def as_the_kubelet_does(folder: Path, content: bytes) -> None:
    """Replace ca.crt by a rename, as a projected volume changes."""
    (folder / "ca.crt.new").write_bytes(content)
    (folder / "ca.crt.new").rename(folder / "ca.crt")


@pytest.mark.parametrize("overlap", ["both CAs for a while", "at once"])
def test_operator_and_agent_go_on_with_a_server_of_another_ca_without_a_restart(
    installation: Installation, overlap: str
) -> None:
    plane, both = installation.plane, overlap == "both CAs for a while"
    number = int(both)
    assert installation.operator is not None
    installation.operator.stop()
    account = plane.service_account_folder(NAMESPACE, OPERATOR)
    as_the_kubelet_does(account, plane.ca_file.read_bytes())
    installation.operator_port = free_port()
    command: list[str | Path] = [
        sys.executable,
        operator_in_pod.__file__,
        account,
        "operator",
        f"--namespace={NAMESPACE}",
    ]
    options = [f"--listen=127.0.0.1:{installation.operator_port}", "--log-format=text", "--no-leader-election"]
    environment = {"PYTHONPATH": str(REPOSITORY / "operator"), **plane.in_cluster_environment()}
    operator = start(plane.run, f"operator-{number}", [*command, *options], environment=environment)
    installation.operator = operator
    registry, name = f"rotated-{number}.example", f"rotated-{number}"
    installation.secret("ca", {"ca.crt": OLD.pem})
    installation.trust(name, registries=[registry], caCertificates=SOURCE, caRetention="0s")
    installation.add_node(name)
    agent = installation.start_agent(name)
    nodes = [plane.run.subfolder("service-accounts") / f"{NAMESPACE}-{AGENT}-{node}" for node in installation.agents]
    for folder in nodes:
        as_the_kubelet_does(folder, plane.ca_file.read_bytes())
    file, accounts = agent.root() / registry / "ca.crt", (account, *nodes)
    wait_until(file.exists, "the agent has written it", within=60)
    authority = Authority.create(f"the cluster's next CA, {number}")
    if both:
        for folder in accounts:
            as_the_kubelet_does(folder, plane.ca_file.read_bytes() + authority.pem)

    def both_run() -> None:
        operator.check()
        agent.process.check()

    def refused() -> bool:
        return "CERTIFICATE_VERIFY_FAILED" in operator.log.read_text()

    serve_with(installation, authority)
    if not both:
        wait_until(refused, "the operator does not know the new CA yet", within=90, meanwhile=both_run)
    for folder in accounts:
        as_the_kubelet_does(folder, authority.pem)

    installation.secret("ca", {"ca.crt": NEW.pem})
    wait_until(
        lambda: file.read_bytes() == NEW.pem,
        "the operator heard of the new content, and the agent of the new bundle",
        within=90,
        meanwhile=both_run,
    )
    installation.wait_for(name, "Ready", within=60)
    assert refused() is not both, "with both CAs for a while nothing ever fails"


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN CERTIFICATE-----\nhalf", b"\xff"], ids=["empty", "half", "no"])
def test_a_ca_file_that_cannot_be_used_for_a_while_leaves_the_last_connection(tmp_path, monkeypatch, broken):
    authority = Authority.create("cluster CA")
    write_file(tmp_path / "token", b"token")
    as_the_kubelet_does(tmp_path, authority.pem)
    for key, value in {"SERVICE_TOKEN_FILENAME": "token", "SERVICE_CERT_FILENAME": "ca.crt"}.items():
        monkeypatch.setattr(incluster_config, key, str(tmp_path / value))
    monkeypatch.setitem(os.environ, "KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setitem(os.environ, "KUBERNETES_SERVICE_PORT", "6443")
    connector = Connector("")
    first = connector.api()

    as_the_kubelet_does(tmp_path, broken)
    assert connector.api() is first
    as_the_kubelet_does(tmp_path, Authority.create("the next CA").pem)

    assert connector.api() is not first


def test_a_ca_in_a_file_of_its_own_is_seen_to_change_though_the_kubeconfig_does_not(tmp_path):
    write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:6443", b"", "token")
    file = tmp_path / "ca.crt"
    file.write_bytes(Authority.create("cluster CA").pem)
    text = (tmp_path / "kubeconfig").read_text()
    (tmp_path / "kubeconfig").write_text(
        text.replace('"certificate-authority-data": ""', f'"certificate-authority": "{file}"')
    )
    connector = Connector(str(tmp_path / "kubeconfig"))
    first, before = connector.api(), connector.stamp()

    as_the_kubelet_does(tmp_path, Authority.create("the next CA").pem)

    assert connector.stamp() not in (None, before)
    assert connector.api() is not first
