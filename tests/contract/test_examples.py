"""The examples: each is a complete set of manifests that the API takes, and gives the files that it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from registry_trust.api.parse import check_trust

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
NAMESPACE = "registry-certificates"
NOT_IN_THE_FILE = {"cert-manager-certificate.yaml": "harbor-client"}
"""The Secret that cert-manager writes."""

EXPECTED_DIRECTORIES = {
    "private-registry-ca.yaml": ["harbor.corp.example:5000"],
    "client-certificate.yaml": ["harbor.corp.example:5000"],
    "host-without-port.yaml": ["my-https.registry.example.com"],
    "docker-hub-behind-a-proxy.yaml": ["docker.io"],
    "localhost-5000.yaml": ["localhost:5000"],
    "cluster-trust-bundle.yaml": ["harbor.corp.example:5000"],
    "one-ca-several-registries.yaml": ["harbor.corp.example:5000", "mirror.corp.example", "quay.corp.example"],
}

EACH = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


def bodies(example: Path) -> list[dict[str, Any]]:
    return [body for body in yaml.safe_load_all(example.read_text()) if body]


def values(example: Path) -> list[str]:
    """Return the text of every source in the file, key by key."""
    found = [part for body in bodies(example) for part in (body.get("stringData", {}), body.get("data", {}))]
    bundles = [body["spec"]["trustBundle"] for body in bodies(example) if body["kind"] == "ClusterTrustBundle"]
    return [*(text for part in found for text in part.values()), *bundles]


def render(example: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "registry_trust", "render", str(example), *arguments]
    return subprocess.run(command, cwd=ROOT / "operator", capture_output=True, text=True, timeout=60, check=False)


def test_every_example_of_the_design_is_there():
    assert {path.name for path in EXAMPLES} == {*EXPECTED_DIRECTORIES, *NOT_IN_THE_FILE}


@EACH
def test_it_begins_with_what_it_is_for(example):
    assert example.read_text().startswith("# ")


@EACH
def test_the_api_takes_its_trusts(example):
    trusts = [body for body in bodies(example) if body["kind"] == "RegistryTrust"]

    assert trusts
    assert [error for body in trusts for error in check_trust(body)] == []


@EACH
def test_every_source_that_it_names_is_there_and_not_in_another_namespace(example):
    found = [body for body in bodies(example) if body["kind"] in ("Secret", "ConfigMap", "ClusterTrustBundle")]
    sources = {body.get("spec", {}).get("signerName") or body["metadata"]["name"] for body in found}
    named: set[str] = set()
    for body in bodies(example):
        if body["kind"] == "RegistryTrust":
            for reference in (*body["spec"].get("caCertificates", ()), *body["spec"].get("clientCertificates", ())):
                parts = [part for part in reference.values() if isinstance(part, dict)]
                named.update(part.get("name") or part["signerName"] for part in parts)
        elif body["kind"] != "ClusterTrustBundle":
            assert body["metadata"]["namespace"] == NAMESPACE

    assert named - sources == {NOT_IN_THE_FILE[example.name]} if example.name in NOT_IN_THE_FILE else named == sources


@EACH
def test_every_certificate_and_key_in_it_is_a_real_one(example):
    texts = values(example)

    assert texts
    for text in texts:
        if "PRIVATE KEY" in text:
            load_pem_private_key(text.encode(), password=None)
        else:
            for certificate in x509.load_pem_x509_certificates(text.encode()):
                assert "for examples only" in certificate.subject.rfc4514_string()


@pytest.mark.parametrize("name", EXPECTED_DIRECTORIES)
def test_rendering_it_shows_the_files_of_a_node(name):
    done = render(ROOT / "examples" / name, "--layout=docker")

    assert done.returncode == 0, done.stderr
    assert "refused" not in done.stderr
    entries = [line.split()[0] for line in done.stdout.splitlines() if " -> " in line]
    assert entries == EXPECTED_DIRECTORIES[name]


def test_the_client_certificate_is_added_to_the_one_registry_that_the_second_trust_names():
    tree = render(ROOT / "examples" / "one-ca-several-registries.yaml", "--layout=docker").stdout

    assert tree.count("ca.crt") == 3
    assert tree.count("client.cert") == tree.count("client.key") == 1
    assert tree.index("client.key") < tree.index("mirror.corp.example")


@pytest.mark.parametrize("name", NOT_IN_THE_FILE)
def test_without_the_secret_that_cert_manager_writes_it_says_which_one_is_missing(name):
    done = render(ROOT / "examples" / name)

    assert done.returncode == 1
    assert (
        f'SecretNotFound: spec.clientCertificates[0].secretRef: there is no Secret "{NOT_IN_THE_FILE[name]}"'
        in done.stderr
    )
