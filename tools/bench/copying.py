"""From the change of a Secret to the file on every node: by registry-trust, and by a DaemonSet that copies a mount.

`python -m tools.bench.copying [--changes 12]`, as root: three real nodes, the real image, both next to each other. The
DaemonSet mounts the Secret, and copies it to the node every second. The changes come at random moments of the kubelet's
minute.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from registry_trust import __version__
from tools.authority import Authority
from tools.cluster.cluster import Cluster, what_is_missing
from tools.cluster.images import build_product_image
from tools.cluster.kubectl import Kubectl
from tools.cluster.node_files import NodeOptions
from tools.cluster.nodes import Node
from tools.cluster.waiting import wait_until
from tools.installation import MANIFEST, NAMESPACE, TRUST_NAMESPACE, trust

IMAGE = f"localhost/registry-trust:{__version__}"
SECRET = "harbor-ca"
COPIED = "/var/lib/copied-certificates"
OURS = "/etc/containerd/certs.d/harbor.example_5000_"
LOOP = f"""
import os, shutil, time
while True:
    shutil.copyfile("/from/ca.crt", "{COPIED}/.ca.crt")
    os.replace("{COPIED}/.ca.crt", "{COPIED}/ca.crt")
    time.sleep(1)
"""
"""What such DaemonSets do in shell; the image at hand has Python alone."""

MINUTE = 60.0
"""Seconds between two looks of a kubelet at a pod's volumes (its syncFrequency)."""
LONGEST = 240.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.copying", description=__doc__)
    parser.add_argument("--changes", type=int, default=12)
    changes = parser.parse_args().changes
    if missing := what_is_missing():
        sys.stderr.write(f"{missing}\n")
        return 1
    with Cluster([NodeOptions() for _ in range(3)]) as cluster:
        image = build_product_image(cluster.run.folder / "product.tar", IMAGE)
        for node in cluster.nodes:
            node.import_image(image)
        write(cluster.kubectl, Authority.create("CA 0").pem, first=True)
        install(cluster.kubectl)
        seen = [measure(cluster, number) for number in range(1, changes + 1)]
    for index, name in enumerate(("registry-trust", "a DaemonSet that copies")):
        times = sorted(each[index] for each in seen)
        sys.stdout.write(
            f"{name:26} the last of 3 nodes: median {statistics.median(times):.1f} s, slowest {times[-1]:.1f} s, "
            f"{len(times)} changes\n"
        )
    return 0


def write(kubectl: Kubectl, pem: bytes, *, first: bool = False) -> None:
    """Write the CA to the Secret of each, in one request."""
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TRUST_NAMESPACE}}] if first else []
    data = {"ca.crt": base64.b64encode(pem).decode()}
    secrets = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": namespace}, "data": data}
        for namespace in (TRUST_NAMESPACE, "kube-system")
    ]
    kubectl.apply(*namespaces, *secrets)


def install(kubectl: Kubectl) -> None:
    """Install both, and wait until every pod runs."""
    documents = [body for body in yaml.safe_load_all(MANIFEST.read_text()) if body]
    first = [body for body in documents if body["kind"] in ("Namespace", "CustomResourceDefinition")]
    kubectl.apply(*first)
    kubectl.wait_for_kinds("registrytrusts.registrytrust.io", "nodetrusts.registrytrust.io")
    source = {"secretKeyRef": {"name": SECRET, "key": "ca.crt"}}
    kubectl.apply(*(body for body in documents if body not in first), copying())
    kubectl.apply(trust("harbor", registries=["harbor.example:5000"], caCertificates=[source]))
    for name, namespace in (("registry-trust-agent", NAMESPACE), ("copy", "kube-system")):
        kubectl("-n", namespace, "rollout", "status", f"daemonset/{name}", "--timeout=240s", timeout=250)


def copying() -> dict[str, Any]:
    """Return the DaemonSet that copies."""
    container = {
        "name": "copy",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["/opt/registry-trust/bin/python3", "-c", LOOP],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "from", "mountPath": "/from"}, {"name": "to", "mountPath": COPIED}],
    }
    volumes: list[dict[str, Any]] = [
        {"name": "from", "secret": {"secretName": SECRET}},
        {"name": "to", "hostPath": {"path": COPIED, "type": "DirectoryOrCreate"}},
    ]
    labels = {"app": "copy"}
    pod = {"tolerations": [{"operator": "Exists"}], "containers": [container], "volumes": volumes}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "copy", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {**pod, "terminationGracePeriodSeconds": 1}},
        },
    }


def measure(cluster: Cluster, number: int) -> tuple[float, float]:
    """Change the Secret once; return the seconds until the last node had it, from registry-trust and from the copy."""
    pem = Authority.create(f"CA {number}").pem
    time.sleep(random.uniform(0, MINUTE))  # noqa: S311 - a moment of the kubelet's minute, no secret
    begin = time.monotonic()
    write(cluster.kubectl, pem)
    ours = arrived(cluster.nodes, OURS, pem) - begin
    copied = arrived(cluster.nodes, COPIED, pem) - begin
    sys.stdout.write(json.dumps({"change": number, "ours": round(ours, 2), "copied": round(copied, 2)}) + "\n")
    sys.stdout.flush()
    return ours, copied


def arrived(nodes: list[Node], directory: str, pem: bytes) -> float:
    """Wait until a certificate is in a directory's ca.crt on every node; return when, in monotonic time."""
    files = [node.path(directory) / "ca.crt" for node in nodes]
    wait_until(lambda: all(has(file, pem) for file in files), f"{directory} is new everywhere", within=LONGEST)
    return time.monotonic()


def has(file: Path, pem: bytes) -> bool:
    """Say whether a certificate is in a file."""
    return file.exists() and pem in file.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
