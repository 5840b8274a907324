"""What the real `kubectl kustomize` makes of deploy/, of the rules for generated names, and of the settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.generate import CHART, MANIFEST, ROOT, TRUST_NAMESPACE
from registry_trust.api.parse import check_trust
from tools.cluster.binaries import binary

pytestmark = pytest.mark.tools("kubectl", "helm")

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


IMAGE = "harbor.corp.example/platform/registry-trust"

OWN_PLACE = {
    "kustomization.yaml": f"""
resources: [deploy, settings.yaml]
components: [deploy/kustomize/settings]
images:
- {{name: localhost/registry-trust, newName: {IMAGE}, newTag: "2"}}
""",
    "settings.yaml": """
apiVersion: v1
kind: ConfigMap
metadata:
  name: registry-trust-settings
  annotations: {config.kubernetes.io/local-config: "true"}
data: {namespace: platform-trust, trustNamespace: platform-certificates}
""",
}
THE_SAME_FOR_HELM = (
    *("--namespace=platform-trust", "--set=namespace.create=true", "--set=trustNamespace.name=platform-certificates"),
    *(f"--set=image.repository={IMAGE}", "--set-string=image.tag=2", "--skip-tests"),
)


def printed(*command: object) -> list[dict[str, Any]]:
    """Return the manifests that a command prints."""
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def by_name(bodies: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the objects by kind, namespace and name, without the labels that say that Helm manages them."""
    for body in bodies:
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            body["metadata"]["labels"].pop(label, None)
    return {(b["kind"], b["metadata"].get("namespace", ""), b["metadata"]["name"]): b for b in bodies}


def built(folder: Path, content: str) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Return the trust that kustomize builds, and the names of what it generates, by kind and name without suffix."""
    shutil.copy(RULES, folder)
    for name, text in {"kustomization.yaml": KUSTOMIZATION, "trust.yaml": TRUST, "ca.crt": content}.items():
        (folder / name).write_text(text)
    bodies = printed(binary("kubectl"), "kustomize", folder)
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


def test_the_kustomization_has_everything_of_the_manifest():
    manifest = [body for body in yaml.safe_load_all(MANIFEST.read_text()) if body]

    assert by_name(printed(binary("kubectl"), "kustomize", ROOT / "deploy")) == by_name(manifest)


def test_another_registry_and_other_namespaces_need_no_edited_file_and_make_what_helm_makes(tmp_path):
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for name, text in OWN_PLACE.items():
        (tmp_path / name).write_text(text)

    made = by_name(printed(binary("kubectl"), "kustomize", tmp_path))

    assert made == by_name(printed(binary("helm"), "template", "registry-trust", CHART, *THE_SAME_FOR_HELM))
    assert ("DaemonSet", "platform-trust", "registry-trust-agent") in made
