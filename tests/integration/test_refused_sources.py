"""Sources that turn bad while they are served, one for each reason: last good stays, status and one Event say why."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry_trust.core.bundle import Bundle
from registry_trust.core.bundle_format import decode
from registry_trust.core.reasons import Reason
from tools import der, pki
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.der import armour, extension, handmade
from tools.installation import BUNDLE, NAMESPACE, TRUST_NAMESPACE, Installation, config_map, secret, trust
from tools.pki import issue

AUTHORITY = Authority.create("registry CA")
PAIR, OTHER = AUTHORITY.client("node"), AUTHORITY.client("other")
ENCODING, FORMAT = serialization.Encoding.PEM, serialization.PrivateFormat


@dataclass(frozen=True)
class Case:
    """A source that turns bad: what is written into it, or whether it goes."""

    reason: Reason
    words: str
    """A part of what is said of it."""
    data: dict[str, bytes] = field(default_factory=dict)
    pair: bool = False
    config_map: bool = False
    deleted: bool = False
    secret_type: str = "Opaque"
    registries: tuple[str, ...] = ()
    """In place of a change of the source, an edit of the trust."""

    @property
    def name(self) -> str:
        """The trust's name, and its source's."""
        return self.reason.lower()

    @property
    def place(self) -> str:
        """How messages call the object."""
        return f"{'ConfigMap' if self.config_map else 'Secret'} {TRUST_NAMESPACE}/{self.name}"

    def trust(self, *registries: str) -> dict[str, Any]:
        """Return the RegistryTrust."""
        key = {"name": self.name, "key": "ca.crt"}
        spec: dict[str, Any] = {"caCertificates": [{"configMapKeyRef" if self.config_map else "secretKeyRef": key}]}
        if self.pair:
            spec = {"clientCertificates": [{"secretRef": {"name": self.name}}]}
        return trust(self.name, registries=[*(registries or [f"{self.name}.example"])], **spec)

    def source(self, data: dict[str, bytes], secret_type: str = "Opaque") -> dict[str, Any]:
        """Return the Secret or ConfigMap with these data."""
        return config_map(self.name, data) if self.config_map else secret(self.name, data, secret_type)

    def good(self) -> dict[str, Any]:
        """Return the source before it turned bad."""
        pair = {"tls.crt": PAIR.certificate, "tls.key": PAIR.key}
        return self.source(pair if self.pair else {"ca.crt": AUTHORITY.pem})


def ca(reason: Reason, words: str, pem: bytes, **more: Any) -> Case:
    return Case(reason, words, {"ca.crt": pem}, **more)


def pair(reason: Reason, words: str, certificate: bytes, key: bytes) -> Case:
    return Case(reason, words, {"tls.crt": certificate, "tls.key": key}, pair=True)


def in_form(form: serialization.PrivateFormat, encryption: Any) -> bytes:
    key: Any = serialization.load_pem_private_key(PAIR.key, None)
    text: bytes = key.private_bytes(ENCODING, form, encryption)
    return text


def critical() -> bytes:
    return armour(handmade(extensions=(der.IS_CA, extension("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True))))


BITCOIN = issue("Bitcoin CA", pki.curve_key(5, ec.SECP256K1()), ca=True)
OLD = issue("Old CA", pki.curve_key(6), ca=True, not_before=pki.NOW - 3 * pki.YEAR, not_after=pki.NOW - 2 * pki.YEAR)
RUBBISH = b"\x30\x03\x02\x01\x05"
PLAIN, LOCKED = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"secret")

CASES = [
    ca(Reason.EMPTY_DATA, "is empty; put the registry's CA certificate", b" \n"),
    ca(Reason.INVALID_PEM, "byte order mark", b"\xef\xbb\xbf" + AUTHORITY.pem),
    ca(Reason.CERTIFICATE_PARSE, "certificate 1 of 1", armour(b"\x30\x03\x02\x01\x05"), config_map=True),
    ca(Reason.PRIVATE_KEY_IN_CA, "block 2 of 2", AUTHORITY.pem + AUTHORITY.pair.key),
    ca(Reason.UNSUPPORTED_ALGORITHM, "secp256k1", BITCOIN.pem),
    ca(Reason.UNSUPPORTED_EXTENSION, "1.3.6.1.4.1.99999.1", critical()),
    ca(Reason.NOT_CA, "put that CA's certificate here", PAIR.certificate),
    ca(Reason.EXPIRED, "expired on", OLD.pem),
    ca(Reason.TOO_LARGE, "330,001 bytes", b"#" * 330_001),
    Case(Reason.SECRET_KEY_NOT_FOUND, 'it has "root.pem"', {"root.pem": AUTHORITY.pem}),
    Case(Reason.CONFIG_MAP_KEY_NOT_FOUND, 'it has "root.pem"', {"root.pem": AUTHORITY.pem}, config_map=True),
    Case(Reason.SECRET_NOT_FOUND, "create it there", deleted=True),
    Case(Reason.CONFIG_MAP_NOT_FOUND, "create it there", config_map=True, deleted=True),
    ca(
        Reason.SECRET_TYPE_FORBIDDEN,
        "bootstrap.kubernetes.io/token",
        AUTHORITY.pem,
        deleted=True,
        secret_type="bootstrap.kubernetes.io/token",
    ),
    Case(Reason.PAIR_INCOMPLETE, 'has no key "tls.key"', {"tls.crt": PAIR.certificate}, pair=True),
    pair(Reason.SWAPPED, "swap the two", PAIR.key, PAIR.certificate),
    pair(Reason.KEY_MISMATCH, "another public key", PAIR.certificate, OTHER.key),
    pair(Reason.KEY_AMBIGUOUS, "holds 2 private keys", PAIR.certificate, PAIR.key + OTHER.key),
    pair(Reason.KEY_ENCRYPTED, "openssl pkey", PAIR.certificate, in_form(FORMAT.PKCS8, LOCKED)),
    pair(Reason.KEY_UNSUPPORTED, "ssh-keygen", PAIR.certificate, in_form(FORMAT.OpenSSH, PLAIN)),
    pair(Reason.KEY_PARSE, "openssl pkey", PAIR.certificate, armour(RUBBISH, "PRIVATE KEY")),
    Case(Reason.INVALID_HOST, 'write "[2001:db8::1]"', registries=("[2001:db8:0::1]",)),
]


@pytest.fixture(scope="module")
def turned(installation: Installation) -> tuple[Bundle, Bundle, dict[str, dict[str, Any]]]:
    """Serve one trust for each case and one beside them, turn every source bad; return both bundles and the trusts."""
    kubectl = installation.plane.kubectl
    beside = {"caCertificates": [{"inline": AUTHORITY.pem.decode()}]}
    kubectl.apply(*(case.good() for case in CASES))
    kubectl.apply(*(case.trust() for case in CASES), trust("beside", registries=["beside.example"], **beside))
    wait_until(lambda: set(accepted(installation).values()) == {"True"}, "every trust is accepted", within=30)
    before = bundle(installation)

    for case in CASES:
        if case.deleted:
            kubectl(
                "delete", "configmap" if case.config_map else "secret", case.name, "-n", TRUST_NAMESPACE, "--wait=true"
            )
    kubectl.apply(
        *(case.source(case.data, case.secret_type) for case in CASES if case.data),
        *(case.trust(*case.registries) for case in CASES if case.registries),
    )

    def refused() -> bool:
        bodies = {body["metadata"]["name"]: body for body in kubectl.get("registrytrusts")["items"]}
        found = {case.reason: accepted_of(bodies[case.name]).get("reason") for case in CASES}
        assert all(reason == said for reason, said in found.items()), found
        return True

    wait_until(refused, "every trust but one is refused for its reason", within=30)
    trusts = {body["metadata"]["name"]: body for body in kubectl.get("registrytrusts")["items"]}
    return before, bundle(installation), trusts


def accepted(installation: Installation) -> dict[str, str]:
    """Return the status of Accepted of every trust, where it speaks of the newest generation."""
    found = {}
    for body in installation.plane.kubectl.get("registrytrusts")["items"]:
        condition = accepted_of(body)
        newest = condition.get("observedGeneration") == body["metadata"]["generation"]
        found[body["metadata"]["name"]] = condition["status"] if newest else "Unknown"
    return found


def accepted_of(body: dict[str, Any]) -> dict[str, Any]:
    conditions = body.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Accepted"), {})


def bundle(installation: Installation) -> Bundle:
    found = installation.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)
    return decode({key: base64.b64decode(value) for key, value in found["data"].items()})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_the_status_says_where_what_and_what_to_do(turned, case):
    condition = accepted_of(turned[2][case.name])

    assert condition["reason"] == case.reason
    assert case.words in condition["message"]
    assert "still serving revision" in condition["message"]
    field = "clientCertificates" if case.pair else "registries" if case.registries else "caCertificates"
    assert f"spec.{field}[0]" in condition["message"]
    if case.data or case.deleted:
        assert (
            case.place in condition["message"]
            or f'"{case.name}" in namespace {TRUST_NAMESPACE}' in condition["message"]
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_one_event_says_the_same(installation, turned, case):
    def told() -> list[dict[str, Any]]:
        events = installation.plane.kubectl.get("events", "-n", "default")["items"]
        return [
            event
            for event in events
            if event["involvedObject"]["name"] == case.name
            and event["reason"] == "Rejected"
            and event["message"].startswith(f"{case.reason}: ")  # one that is made anew is first SecretNotFound
        ]

    (event,) = wait_until(told, f"there is an Event about {case.name}", within=10)
    assert (event["count"], event["type"]) == (1, "Warning")
    assert case.words in event["message"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_the_last_good_content_is_still_served(turned, case):
    before, after, _ = turned

    assert before.trust(case.name) is not None
    assert after.trust(case.name) == before.trust(case.name)


def test_nothing_else_changes(turned):
    before, after, trusts = turned

    assert after == before
    assert accepted_of(trusts["beside"])["reason"] == "Valid"
