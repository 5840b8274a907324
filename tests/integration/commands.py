"""Manifests for the command, and the command run in this process: exit code, standard output, standard error."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import yaml
from click.testing import CliRunner, Result

from registry_trust.cli.main import main
from tools.pki import Issued, curve_key, issue, pkcs8

A, B = "a.example:5000", "b.example"
EVER: dict[str, Any] = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2120, 1, 1, tzinfo=UTC)}


def authority(number: int) -> Issued:
    return issue(f"CA {number}", curve_key(number), ca=True, signs=True, **EVER)


def trust(name: str, *registries: str, ca: int = 1, **spec: Any) -> str:
    """Return a document with a RegistryTrust whose CA is inline."""
    sources = [{"inline": authority(ca).pem.decode()}]
    body = {
        "apiVersion": "registrytrust.io/v1alpha1",
        "kind": "RegistryTrust",
        "metadata": {"name": name},
        "spec": {"registries": list(registries), "caCertificates": sources, **spec},
    }
    return yaml.safe_dump(body) + "---\n"


def pair(name: str, key: int = 7) -> str:
    """Return a document with a Secret that holds a client certificate and its key."""
    signed = issue("node", curve_key(key), issuer=authority(1), ca=False, **EVER)
    data = {"tls.crt": signed.pem.decode(), "tls.key": pkcs8(signed.key).decode()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": data}
    return yaml.safe_dump(body) + "---\n"


def run(*arguments: object, text: str | bytes = "") -> Result:
    """Run a command with this standard input."""
    return CliRunner().invoke(main, [str(each) for each in arguments], input=text)


def actions(result: Result) -> dict[str, str]:
    """Return what became of each registry, from `-o json`."""
    return {row["name"]: row["action"] for row in json.loads(result.stdout)["registries"]}
