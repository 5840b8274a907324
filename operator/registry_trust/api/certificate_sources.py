"""Where a trust's certificates come from: the models of CA certificates and of client certificates with their keys."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from registry_trust.api.fields import (
    FILE_NAME,
    PRIVATE_KEY_MARK,
    APIModel,
    DataKey,
    ObjectName,
    list_type,
    refuse,
    rule,
    rules,
)
from registry_trust.api.node_selector import LabelSelector, SelectorRequirement
from registry_trust.core.layout import ENDINGS, pair_files
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote
from registry_trust.core.trust import (
    DEFAULT_CLIENT_NAME,
    CASource,
    ClientSource,
    InlinePEM,
    SignerBundles,
    SourceKind,
    SourceRef,
)

DEFAULT_CERTIFICATE_KEY = "tls.crt"
DEFAULT_PRIVATE_KEY_KEY = "tls.key"
MAXIMUM_INLINE_LENGTH = 65_536

ONE_SOURCE = "must have exactly one of secretKeyRef, configMapKeyRef, clusterTrustBundle and inline"
ONE_BUNDLE = "must have either name or signerName"
SELECTOR_OF_SIGNER = (
    "must have labelSelector with signerName, and not with name; {} selects every ClusterTrustBundle of the signer"
)
INLINE_PRIVATE_KEY = (
    "contains a private key inline, where everyone who can read this object can read it; remove it and replace that "
    "key. A CA certificate comes without a key, a client certificate with its key from a Secret in clientCertificates"
)
FILE_ENDING = f"must not end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; the ending is added on the node"
_FILE_ENDING_RULE = f"!self.matches('\\\\.({'|'.join(ending[1:] for ending in ENDINGS)})$')"


class SecretKeySelector(APIModel):
    """One key of a Secret in the trust namespace."""

    name: Annotated[ObjectName, Field(description="The Secret's name, e.g. harbor-ca.")]
    key: Annotated[DataKey, Field(description="The key in the Secret's data, e.g. ca.crt.")]


class ConfigMapKeySelector(APIModel):
    """One key of a ConfigMap in the trust namespace."""

    name: Annotated[ObjectName, Field(description="The ConfigMap's name, e.g. corp-roots.")]
    key: Annotated[DataKey, Field(description="The key in the ConfigMap's data, e.g. ca-bundle.crt.")]


class BundleSelector(LabelSelector):
    """Labels of ClusterTrustBundles: every label and every requirement must hold, and an empty one selects all."""

    match_expressions: Annotated[
        list[SelectorRequirement] | None,
        Field(
            max_length=8,  # 32 sources with more would cost the API server too much to check
            json_schema_extra=list_type("atomic"),
            description="Requirements on labels, e.g. {key: stage, operator: In, values: [live, test]}.",
        ),
    ] = None


class ClusterTrustBundles(APIModel):
    """One ClusterTrustBundle by name, or those of one signer by their labels."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.name) != has(self.signerName)", ONE_BUNDLE),
            rule("has(self.labelSelector) == has(self.signerName)", SELECTOR_OF_SIGNER),
        )
    )

    name: Annotated[
        str | None,
        Field(min_length=1, max_length=825, description="The ClusterTrustBundle's name, e.g. corp-roots."),
    ] = None
    signer_name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=571,
            description="The signer whose ClusterTrustBundles are used, e.g. corp.example/registries. What several of "
            "them contain is used once.",
        ),
    ] = None
    label_selector: Annotated[
        BundleSelector | None,
        Field(
            description="Which of the signer's ClusterTrustBundles are used, by their labels. {} selects all of them. "
            "Required with signerName (in a projected volume, leaving it out selects none)."
        ),
    ] = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.name is None) == (self.signer_name is None):
            raise refuse(Reason.INVALID_SPEC, ONE_BUNDLE)
        if (self.label_selector is None) != (self.signer_name is None):
            raise refuse(Reason.INVALID_SPEC, SELECTOR_OF_SIGNER)
        return self

    def to_core(self) -> CASource:
        """Return the source as the core's value."""
        if self.signer_name is not None and self.label_selector is not None:
            return SignerBundles(self.signer_name, self.label_selector.to_core())
        return SourceRef(SourceKind.CLUSTER_TRUST_BUNDLE, self.name or "")


class CACertificateSource(APIModel):
    """One source of CA certificates in PEM; set exactly one field."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.clusterTrustBundle), has(self.inline)]"
                ".filter(x, x).size() == 1",
                ONE_SOURCE,
            ),
            # On the source and not on the text: the server would repeat the text, key and all, in its answer.
            rule(
                f"!has(self.inline) || !self.inline.contains('{PRIVATE_KEY_MARK}')",
                INLINE_PRIVATE_KEY,
                reason="FieldValueForbidden",
            ),
        )
    )

    secret_key_ref: Annotated[
        SecretKeySelector | None,
        Field(
            description="A key of a Secret in the trust namespace (the operator's own, unless it was installed with "
            "another), e.g. {name: harbor-ca, key: ca.crt}."
        ),
    ] = None
    config_map_key_ref: Annotated[
        ConfigMapKeySelector | None,
        Field(description="A key of a ConfigMap in the trust namespace, e.g. {name: corp-roots, key: ca-bundle.crt}."),
    ] = None
    cluster_trust_bundle: Annotated[
        ClusterTrustBundles | None,
        Field(
            description="ClusterTrustBundles, as in a projected volume: {name: corp-roots}, or {labelSelector: {}, "
            "signerName: corp.example/registries}. They are cluster-scoped. Kubernetes serves them by default from "
            "1.37 on."
        ),
    ] = None
    inline: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAXIMUM_INLINE_LENGTH,
            description="The PEM text itself, for certificates only: anyone who may read this object can read it. "
            "Put more than a few certificates in a ConfigMap.",
        ),
    ] = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        sources = (self.secret_key_ref, self.config_map_key_ref, self.cluster_trust_bundle, self.inline)
        if sum(source is not None for source in sources) != 1:
            raise refuse(Reason.INVALID_SPEC, ONE_SOURCE)
        if self.inline is not None and PRIVATE_KEY_MARK in self.inline:
            raise refuse(Reason.PRIVATE_KEY_IN_CA, INLINE_PRIVATE_KEY)
        return self

    def to_core(self) -> CASource:
        """Return the source as the core's value."""
        if self.secret_key_ref is not None:
            return SourceRef(SourceKind.SECRET, self.secret_key_ref.name, self.secret_key_ref.key)
        if self.config_map_key_ref is not None:
            return SourceRef(SourceKind.CONFIG_MAP, self.config_map_key_ref.name, self.config_map_key_ref.key)
        if self.cluster_trust_bundle is not None:
            return self.cluster_trust_bundle.to_core()
        return InlinePEM(self.inline or "")


class ClientSecret(APIModel):
    """A Secret in the trust namespace with a client certificate and its private key."""

    name: Annotated[
        ObjectName,
        Field(
            description="The Secret's name, e.g. harbor-client. Its type is kubernetes.io/tls or Opaque; cert-manager "
            "writes such Secrets."
        ),
    ]
    certificate_key: Annotated[
        DataKey | None,
        Field(
            description="The key in the Secret's data that holds the certificate in PEM, with its intermediates after "
            f"it. Default {DEFAULT_CERTIFICATE_KEY}; Docker's page calls it client.cert."
        ),
    ] = None
    private_key_key: Annotated[
        DataKey | None,
        Field(
            description="The key in the Secret's data that holds the certificate's private key in PEM, not encrypted. "
            f"Default {DEFAULT_PRIVATE_KEY_KEY}; Docker's page calls it client.key."
        ),
    ] = None


class ClientCertificate(APIModel):
    """A client certificate and its private key, with which a node proves to the registry who it is."""

    name: Annotated[
        str,
        Field(
            max_length=63,
            pattern=FILE_NAME,
            json_schema_extra=rules(rule(_FILE_ENDING_RULE, FILE_ENDING)),
            description="The name of the pair's files on a node, without ending, unique in this list. "
            f"Default {DEFAULT_CLIENT_NAME}, which gives {' and '.join(pair_files(DEFAULT_CLIENT_NAME))}. Where "
            "another trust has a pair of the same name and other content for the same registry, the older trust's is "
            "used.",
        ),
    ] = DEFAULT_CLIENT_NAME
    secret_ref: Annotated[
        ClientSecret,
        Field(
            description="The Secret in the trust namespace that holds certificate and private key, "
            "e.g. {name: harbor-client}."
        ),
    ]

    @model_validator(mode="after")
    def _name_has_no_ending(self) -> Self:
        if self.name.endswith(ENDINGS):
            raise refuse(Reason.INVALID_SPEC, f"{quote(self.name)} {FILE_ENDING}", "name")
        return self

    def to_core(self) -> ClientSource:
        """Return the source as the core's value, with the defaults of what was left out."""
        secret = self.secret_ref
        return ClientSource(
            SourceRef(SourceKind.SECRET, secret.name, secret.certificate_key or DEFAULT_CERTIFICATE_KEY),
            SourceRef(SourceKind.SECRET, secret.name, secret.private_key_key or DEFAULT_PRIVATE_KEY_KEY),
            self.name,
        )
