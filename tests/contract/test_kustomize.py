"""A RegistryTrust follows the generated names of kustomize, as the real `kubectl kustomize` makes them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.generate import ROOT, TRUST_NAMESPACE
from registry_trust.api.parse import check_trust
from tools.cluster.binaries import binary

pytestmark = pytest.mark.tools("kubectl")

RULES = ROOT / "deploy" / "kustomize" / "namereference.yaml"

KUSTOMIZATION = f"""
namespace: {TRUST_NAMESPACE}
configurations: [namereference.yaml]
resources: [trust.yaml]
secretGenerator:
- {{name: harbor-ca, files: [ca.crt]}}
- {{name: harbor-client, type: kubernetes.io/tls, files: [tls.crt=ca.crt, tls.key=ca.crt]}}
configMapGenerator:
- {{name: corp-roots, files: [ca.crt]}}
"""

TRUST = """
apiVersion: registrytrust.io/v1alpha1
kind: RegistryTrust
metadata: {name: harbor}
spec:
  registries: [harbor.example:5000]
  caCertificates:
  - secretKeyRef: {name: harbor-ca, key: ca.crt}
  - configMapKeyRef: {name: corp-roots, key: ca.crt}
  - secretKeyRef: {name: not-generated, key: ca.crt}
  clientCertificates:
  - secretRef: {name: harbor-client}
"""


def built(folder: Path, content: str) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Return the trust that kustomize builds, and the names of what it generates, by kind and name without suffix."""
    shutil.copy(RULES, folder)
    for name, text in {"kustomization.yaml": KUSTOMIZATION, "trust.yaml": TRUST, "ca.crt": content}.items():
        (folder / name).write_text(text)
    command = [str(binary("kubectl")), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    bodies = list(yaml.safe_load_all(done.stdout))
    (trust,) = (body for body in bodies if body["kind"] == "RegistryTrust")
    names = [(body["kind"], body["metadata"]["name"]) for body in bodies if body["kind"] in ("Secret", "ConfigMap")]
    return trust, {(kind, name.rpartition("-")[0]): name for kind, name in names}


def test_a_trust_names_the_generated_sources_with_their_suffix_and_others_as_they_are(tmp_path):
    trust, names = built(tmp_path, "one")

    assert names["Secret", "harbor-ca"] != "harbor-ca"
    assert trust["spec"]["caCertificates"] == [
        {"secretKeyRef": {"name": names["Secret", "harbor-ca"], "key": "ca.crt"}},
        {"configMapKeyRef": {"name": names["ConfigMap", "corp-roots"], "key": "ca.crt"}},
        {"secretKeyRef": {"name": "not-generated", "key": "ca.crt"}},
    ]
    assert trust["spec"]["clientCertificates"] == [{"secretRef": {"name": names["Secret", "harbor-client"]}}]
    assert check_trust(trust) == ()


def test_new_content_is_a_new_name_in_the_trust(tmp_path):
    before, _ = built(tmp_path, "one")
    after, names = built(tmp_path, "two")

    assert before["spec"]["caCertificates"][0] != after["spec"]["caCertificates"][0]
    assert after["spec"]["caCertificates"][0]["secretKeyRef"]["name"] == names["Secret", "harbor-ca"]
