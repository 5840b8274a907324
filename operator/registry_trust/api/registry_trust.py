"""The kind `RegistryTrust`: what an admin writes, with the rules that the API server and the operator both apply."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from registry_trust.api.certificate_sources import CACertificateSource, ClientCertificate
from registry_trust.api.fields import APIModel, list_map, list_type, refuse, rule, rules
from registry_trust.api.node_selector import NodeSelector
from registry_trust.api.registry_name import Registry
from registry_trust.api.trust_status import RegistryTrustStatus
from registry_trust.core import trust as core
from registry_trust.core.duration import DURATION, parse_duration
from registry_trust.core.names import MAXIMUM_CANARIES
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote
from registry_trust.core.trust import ExistingFilesPolicy, Verification

KIND = "RegistryTrust"
PLURAL = "registrytrusts"
SINGULAR = "registrytrust"
SHORT_NAME = "rt"

MAXIMUM_REGISTRIES = 64
MAXIMUM_CA_SOURCES = 32
MAXIMUM_CLIENT_CERTIFICATES = 8
MAXIMUM_CA_RETENTION = "8760h"

NO_CERTIFICATE = "names no certificates; add caCertificates (to trust the registry), clientCertificates, or both"


def _distinct_registries(registries: list[str]) -> list[str]:
    first: dict[str, int] = {}
    for index, registry in enumerate(registries):
        if first.setdefault(registry, index) != index:
            raise refuse(
                Reason.DUPLICATE_REGISTRY,
                f"{quote(registry)} duplicates registries[{first[registry]}]; remove one of them",
                index,
            )
    return registries


def _distinct_names(pairs: list[ClientCertificate] | None) -> list[ClientCertificate] | None:
    first: dict[str, int] = {}
    for index, pair in enumerate(pairs or ()):
        if first.setdefault(pair.name, index) != index:
            raise refuse(
                Reason.INVALID_SPEC,
                f"{quote(pair.name)} is the name of clientCertificates[{first[pair.name]}] too; give each its own, "
                "because it becomes a file name",
                index,
                "name",
            )
    return pairs


RETENTION_TOO_LONG = (
    f"is longer than {MAXIMUM_CA_RETENTION}, a year; a CA that is trusted for longer belongs in the source itself"
)


def _not_too_long(text: str) -> str:
    if parse_duration(text) > parse_duration(MAXIMUM_CA_RETENTION):
        raise refuse(Reason.INVALID_SPEC, f"{quote(text)} {RETENTION_TOO_LONG}")
    return text


CANARIES_UNKNOWN = (
    f"is neither a number of nodes (1 to {MAXIMUM_CANARIES}) nor a part of them (1% to 100%); write e.g. 1 or 10%"
)
_PERCENT = "^([1-9][0-9]?|100)%$"


def _canaries(value: int | str) -> int | str:
    counted = isinstance(value, int) and 1 <= value <= MAXIMUM_CANARIES
    if not counted and not (isinstance(value, str) and re.fullmatch(_PERCENT, value, re.ASCII)):
        raise refuse(Reason.INVALID_SPEC, CANARIES_UNKNOWN)
    return value


class RolloutSpec(APIModel):
    """How new content of this trust goes to a few nodes first, its canaries."""

    canaries: Annotated[
        int | str,
        AfterValidator(_canaries),
        WithJsonSchema(
            {
                "x-kubernetes-int-or-string": True,
                "description": "How many of the selected nodes get new content first: a number, or a part such as 10% "
                f"(rounded up). At most {MAXIMUM_CANARIES}.",
                **rules(
                    rule(
                        f"type(self) == int ? self >= 1 && self <= {MAXIMUM_CANARIES} : "
                        f"string(self).matches('{_PERCENT}')",
                        CANARIES_UNKNOWN,
                    )
                ),
            }
        ),
    ]
    node_selector: Annotated[
        NodeSelector | None,
        Field(description="Labels of the nodes that may be canaries, in addition to those of spec.nodeSelector."),
    ] = None
    minimum_seconds: Annotated[
        int | None,
        Field(
            ge=0,
            le=86_400,
            json_schema_extra={"format": "int32"},
            description="How many seconds all canaries have new content before the other nodes get it, at most 86400. "
            "Default 0.",
        ),
    ] = None
    verify: Annotated[
        bool | None,
        Field(
            description="Whether canaries (three of them at most) ask the registries, and new content goes to the "
            "other nodes only once pulls work there. Default true."
        ),
    ] = None

    def to_core(self) -> core.Rollout:
        """Return it as the core's value."""
        percent = isinstance(self.canaries, str)
        return core.Rollout(
            int(str(self.canaries).removesuffix("%")),
            percent,
            self.node_selector.to_core() if self.node_selector is not None else None,
            float(self.minimum_seconds or 0),
            self.verify is not False,
        )


NOT_VERIFIED = "asks canaries to verify new content, but spec.verification is Off; set rollout.verify to false"


class RegistryTrustSpec(APIModel):
    """What nodes trust, and how they identify themselves, when they pull from these registries.

    Several trusts may name the same registry: on a node that all of them select, they add up.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.caCertificates) && self.caCertificates.size() > 0) || "
                "(has(self.clientCertificates) && self.clientCertificates.size() > 0)",
                NO_CERTIFICATE,
                reason="FieldValueRequired",
            ),
            rule(
                "!has(self.rollout) || !has(self.verification) || self.verification != 'Off' || "
                "(has(self.rollout.verify) && !self.rollout.verify)",
                f"spec.rollout {NOT_VERIFIED}",
            ),
        )
    )

    registries: Annotated[
        list[Registry],
        Field(
            min_length=1,
            max_length=MAXIMUM_REGISTRIES,
            json_schema_extra=list_type("set"),
            description="The registries that the certificates are for: host[:port], byte for byte as in an image "
            "reference (case included), e.g. harbor.corp.example:5000. No scheme, path or wildcard. A runtime looks "
            "up host and host:443 separately; name both if images are named both ways.",
        ),
        AfterValidator(_distinct_registries),
    ]
    ca_certificates: Annotated[
        list[CACertificateSource] | None,
        Field(
            max_length=MAXIMUM_CA_SOURCES,
            json_schema_extra=list_type("atomic"),
            description="Where the CA certificates come from. Every certificate found there becomes a root that may "
            "vouch for the registry's server certificate, in addition to those that the runtime trusts anyway. A "
            "self-signed server certificate works here too. When a source changes, nodes follow within a second.",
        ),
    ] = None
    client_certificates: Annotated[
        list[ClientCertificate] | None,
        Field(
            max_length=MAXIMUM_CLIENT_CERTIFICATES,
            json_schema_extra=list_map("name"),
            description="Client certificates with their private keys, in the order in which a runtime is to try them. "
            "One is enough for nearly every registry. Several owners that apply server-side may each add their own: "
            "those of one owner stay in its order, and those of others may come between them.",
        ),
        AfterValidator(_distinct_names),
    ] = None
    node_selector: Annotated[
        NodeSelector | None,
        Field(
            description="The nodes that get the files, by the labels of the Node, e.g. "
            '{matchLabels: {"pool": "build"}}. Absent means every node; an empty selector is refused. A relabelled '
            "node follows at once. This is placement, not secrecy: every node agent can read the whole bundle, "
            "private keys included."
        ),
    ] = None
    ca_retention: Annotated[
        str | None,
        Field(
            min_length=2,
            max_length=20,
            pattern=DURATION,
            json_schema_extra=rules(
                rule(f"duration(self) <= duration('{MAXIMUM_CA_RETENTION}')", RETENTION_TOO_LONG),
            ),
            description="How long a CA certificate that was replaced stays on the nodes next to the new one, as hours, "
            "minutes and seconds, e.g. 24h (the default) or 1h30m, at most 8760h: a registry that gets its new "
            "certificate later stays reachable. Replaced means that one change, of a source or of this object, takes "
            "CA certificates away and brings others. A change that only takes away always acts at once (with "
            "rollout, on canaries first). 0s drops what is replaced at once, for a CA that must no longer be trusted. "
            "status.certificates[].retainedUntil shows what stays and until when.",
        ),
        AfterValidator(lambda text: text if text is None else _not_too_long(text)),
    ] = None
    existing_files_policy: Annotated[
        ExistingFilesPolicy | None,
        Field(
            strict=False,  # a manifest has the word, not the enum's member
            description="What an agent does if files that registry-trust did not write are in a registry's place. "
            "Refuse (the default) leaves them alone, and that node reports ForeignFile or WouldShadow. Replace puts "
            "them aside in one step, keeps them next to the entry on that node, and puts them back when the entry "
            "goes: when the trust or the registry in it is removed, and at an uninstallation that removes files. It "
            "counts when a place is taken: Refuse later on gives nothing back. If several trusts name a registry, one "
            "that says Replace is enough.",
        ),
    ] = None
    verification: Annotated[
        Verification | None,
        Field(
            strict=False,  # a manifest has the word, not the enum's member
            description="Whether some of the nodes that have the files ask each registry if a pull would work. Report "
            "(the default): condition Verified says what they found. Require: and the trust is Ready only once it is "
            "verified. Off: no node asks.",
        ),
    ] = None
    rollout: Annotated[
        RolloutSpec | None,
        Field(
            description="Lets new content (of this object or of its sources) go to a few nodes first. When all of them "
            "have it on disk, find that pulls work, and minimumSeconds are over, it goes to all. If it fails on one, "
            "they go back to what was served, and Stalled says why. Every change of content is tried, and the end "
            "of a CA's retention; the annotation registrytrust.io/promote=REVISION sends a revision to all nodes now. "
            "Absent: everything goes to all nodes at once."
        ),
    ] = None
    suspend: Annotated[
        bool | None,
        Field(
            description="Freezes what this trust serves and where: changes of its spec and of its sources are not "
            "carried out until it is false again, files stay on their nodes and stay repaired, and nodes that join get "
            "the frozen content. Default false."
        ),
    ] = None

    @model_validator(mode="after")
    def _names_a_certificate(self) -> Self:
        if not self.ca_certificates and not self.client_certificates:
            raise refuse(Reason.INVALID_SPEC, NO_CERTIFICATE)
        off = self.verification is Verification.OFF
        if self.rollout is not None and off and self.rollout.verify is not False:
            raise refuse(Reason.INVALID_SPEC, NOT_VERIFIED, "rollout")
        return self


class RegistryTrust(APIModel):
    """A RegistryTrust makes the container runtimes of the selected nodes trust private registries.

    Runtimes then trust the registries' CA certificates and show them client certificates, without a restart. Secrets
    and ConfigMaps are read from one namespace only, the trust namespace: the operator's own, unless it was installed
    with another. `kubectl wait --for=condition=Ready rt/NAME` returns when every selected node has the files.
    """

    spec: RegistryTrustSpec
    status: Annotated[
        RegistryTrustStatus | None,
        Field(description="What the operator and the nodes made of the spec. Written by the operator only."),
    ] = None
