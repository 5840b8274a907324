"""The objects that give registries their material: as few as possible, with names that depend on nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry_trust.api.certificate_sources import DEFAULT_CERTIFICATE_KEY, DEFAULT_PRIVATE_KEY_KEY
from registry_trust.api.fields import SUBDOMAIN
from registry_trust.api.registry_trust import KIND, MAXIMUM_REGISTRIES
from registry_trust.cli.importing.checked import CheckedClient, Imported
from registry_trust.core.layout import CA_FILE
from registry_trust.core.names import API_VERSION
from registry_trust.core.registry import split
from registry_trust.core.trust import DEFAULT_CLIENT_NAME, ExistingFilesPolicy, SourceKind

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Objects:
    """ConfigMaps with CA certificates, Secrets with client pairs, and the trusts that name them; never printed."""

    config_maps: tuple[Body, ...]
    secrets: tuple[Body, ...]
    trusts: tuple[Body, ...]

    def without(self, refused: Iterable[str]) -> Objects:
        """Return the same without these trusts, and without what only they name."""
        trusts = tuple(body for body in self.trusts if body["metadata"]["name"] not in set(refused))
        named = {name for body in trusts for name in _named(body["spec"])}
        return Objects(
            tuple(body for body in self.config_maps if ("ConfigMap", body["metadata"]["name"]) in named),
            tuple(body for body in self.secrets if ("Secret", body["metadata"]["name"]) in named),
            trusts,
        )


def objects_of(materials: Sequence[Imported], namespace: str, policy: ExistingFilesPolicy | None) -> Objects:
    """Return the objects for materials that are sorted by registry.

    Registries with the same certificates share a trust, trusts with the same CA certificates a ConfigMap, and trusts
    with the same pair a Secret. `policy` is left out where a runtime would lose other settings by it.
    """
    groups: dict[object, list[Imported]] = {}
    for material in materials:
        policy_here = None if material.has_settings else policy
        groups.setdefault((material.authorities, material.pairs, policy_here), []).append(material)
    config_maps: dict[tuple[bytes, ...], Body] = {}
    secrets: dict[CheckedClient, Body] = {}
    trusts: list[Body] = []
    for group in _chunks(groups.values()):
        first = group[0]
        name = name_of(first.registry)
        if first.authorities and first.authorities not in config_maps:
            config_maps[first.authorities] = _config_map(f"{name}-ca", namespace, first.authorities)
        for number, pair in enumerate(first.pairs, 1):
            if pair not in secrets:
                suffix = f"-{number}" if number > 1 else ""
                secrets[pair] = _secret(f"{name}-client{suffix}", namespace, pair)
        used = [secrets[pair]["metadata"]["name"] for pair in first.pairs]
        ca = config_maps[first.authorities]["metadata"]["name"] if first.authorities else ""
        chosen = None if first.has_settings else policy
        trusts.append(_trust(name, [material.registry for material in group], ca, used, chosen))
    return Objects(tuple(config_maps.values()), tuple(secrets.values()), tuple(trusts))


def name_of(registry: str) -> str:
    """Return the name of the trust whose first registry this is: `harbor.corp.example-5000`.

    A hash follows where two registries could get the same name, and where Kubernetes takes no such name.
    """
    host, port = split(registry)
    plain = f"{host}-{port}" if port else host
    if re.fullmatch(SUBDOMAIN, plain) and (port or not re.search(r"-[0-9]+$", host)):
        return plain
    safe = re.sub(r"[^a-z0-9.]+", "-", plain.lower()).strip("-.")
    return f"{safe}-{hashlib.sha256(registry.encode()).hexdigest()[:8]}"


def _chunks(groups: Iterable[list[Imported]]) -> Iterator[list[Imported]]:
    for group in groups:
        yield from (group[i : i + MAXIMUM_REGISTRIES] for i in range(0, len(group), MAXIMUM_REGISTRIES))


def _config_map(name: str, namespace: str, authorities: Sequence[bytes]) -> Body:
    return {
        "apiVersion": "v1",
        "kind": SourceKind.CONFIG_MAP.value,
        "metadata": {"name": name, "namespace": namespace},
        "data": {CA_FILE: b"".join(authorities).decode()},
    }


def _secret(name: str, namespace: str, pair: CheckedClient) -> Body:
    return {
        "apiVersion": "v1",
        "kind": SourceKind.SECRET.value,
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            DEFAULT_CERTIFICATE_KEY: base64.b64encode(pair.certificate).decode(),
            DEFAULT_PRIVATE_KEY_KEY: base64.b64encode(pair.key.reveal()).decode(),
        },
    }


def _trust(name: str, registries: list[str], ca: str, secrets: list[str], policy: ExistingFilesPolicy | None) -> Body:
    spec: dict[str, Any] = {"registries": registries}
    if ca:
        spec["caCertificates"] = [{"configMapKeyRef": {"name": ca, "key": CA_FILE}}]
    if secrets:
        spec["clientCertificates"] = [
            {**({"name": f"{DEFAULT_CLIENT_NAME}-{number}"} if len(secrets) > 1 else {}), "secretRef": {"name": each}}
            for number, each in enumerate(secrets, 1)
        ]
    if policy is not None:
        spec["existingFilesPolicy"] = policy.value
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def _named(spec: Body) -> Iterator[tuple[str, str]]:
    yield from (("ConfigMap", source["configMapKeyRef"]["name"]) for source in spec.get("caCertificates", ()))
    yield from (("Secret", pair["secretRef"]["name"]) for pair in spec.get("clientCertificates", ()))
