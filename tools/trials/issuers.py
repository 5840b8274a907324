"""Issuers: cert-manager's and trust-manager's own controllers as one process, with their kinds from their modules.

Real code, own wiring (tools/go/issuers): no webhooks, no leader election, one worker each, and the rights of the
administrator.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tools.authority import Authority
from tools.cluster.binaries import binary
from tools.cluster.control_plane import ControlPlane
from tools.cluster.folders import GO_MODULES
from tools.cluster.go_toolchain import find_go, required_version
from tools.cluster.processes import Process, start

NAMESPACE = "cert-manager"
"""Where both look for what belongs to no other namespace: the CA of a ClusterIssuer, the sources of a Bundle."""

_CERT_MANAGER, _TRUST_MANAGER = "github.com/cert-manager/cert-manager", "github.com/cert-manager/trust-manager"
_CRDS = {
    _CERT_MANAGER: ("certificaterequests", "certificates", "clusterissuers", "issuers"),
    _TRUST_MANAGER: ("bundles",),
}
"""Plural names of the kinds, by the module that has their CRDs."""


def start_issuers(plane: ControlPlane) -> Process:
    """Make their kinds known to an API server, and start the controllers.

    Raises NoGoToolchainError, BuildFailedError.
    """
    program, kubectl = binary("issuers"), plane.kubectl
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    crds = [crd for module, plurals in _CRDS.items() for crd in _crds(_folder_of(module), plurals)]
    kubectl.apply(*crds)
    kubectl.wait_for_kinds(*(crd["metadata"]["name"] for crd in crds))
    return start(plane.run, "issuers", [program, plane.admin_kubeconfig, NAMESPACE])


def ca_issuer(name: str, authority: Authority) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a ClusterIssuer that signs with a CA, and the Secret that it takes it from."""
    pair = authority.pair
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()},
    }
    issuer = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": name},
        "spec": {"ca": {"secretName": name}},
    }
    return secret, issuer


def source_of_bundles(name: str, *authorities: Authority) -> dict[str, Any]:
    """Return a ConfigMap that a Bundle may name, with CA certificates under `ca.crt`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {"ca.crt": "".join(authority.pem.decode() for authority in authorities)},
    }


def _crds(folder: Path, plurals: tuple[str, ...]) -> list[dict[str, Any]]:
    found = [yaml.safe_load(path.read_text()) for path in sorted((folder / "deploy" / "crds").glob("*.yaml"))]
    return [crd for crd in found if crd["spec"]["names"]["plural"] in plurals]


def _folder_of(module: str) -> Path:
    """Return where Go has a module, of the version that its go.sum pins; downloaded if it is not there."""
    ours = GO_MODULES / "issuers"
    go = find_go(required_version(ours / "go.mod"))
    done = subprocess.run(
        [go.path, "mod", "download", "-json", module],
        cwd=ours,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{module}: {done.stderr or done.stdout}"
    return Path(json.loads(done.stdout)["Dir"])
