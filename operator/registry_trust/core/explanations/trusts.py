"""Explanations of what can be wrong with the text of a trust, and with the objects that it names."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.core.explanations.explanation import REFUSED, Explanation, Place
from registry_trust.core.reasons import Reason

TRUSTS: Mapping[Reason, Explanation] = {
    Reason.INVALID_SPEC: Explanation(
        "A field is missing, unknown, or has a value that the API does not allow. The API server itself rejects most "
        "of these; this one came through an older CRD, or from `registry-trust render`.",
        "spec.caCertificates[0]: must have exactly one of secretKeyRef, configMapKeyRef, clusterTrustBundle and inline",
        "Correct the field named in the message; `kubectl explain registrytrust.spec` describes each.",
        REFUSED,
    ),
    Reason.INVALID_SELECTOR: Explanation(
        "`nodeSelector`, or the `labelSelector` of a source, can't be used: one of its labels or expressions is not "
        "valid, or `nodeSelector` is empty.",
        "spec.nodeSelector: is empty; leave nodeSelector out to select every node, or name labels in matchLabels or "
        "matchExpressions",
        "Leave it out for every node, or name labels as a Deployment's `selector` would.",
        REFUSED,
    ),
    Reason.INVALID_HOST: Explanation(
        "A registry is not the `host` or `host:port` that an image reference can name. Runtimes compare the "
        "directory's name with the reference byte for byte, so a near miss is never read.",
        'spec.registries[0]: "https://harbor.corp.example" has a scheme; remove "https://"',
        "Copy what is before the first `/` of an image's name, upper case included: no scheme, path or wildcard.",
        REFUSED,
    ),
    Reason.INVALID_PORT: Explanation(
        "A registry's port is not a number from 1 to 65535 in plain digits. As a warning: the name ends in `:443`, "
        "and then it applies only to image references that include `:443`, because the two are different directories.",
        'spec.registries[0]: "harbor.corp.example:443" is another directory than "harbor.corp.example": it serves '
        "only image references that spell :443",
        "Write the port as image references do; list both spellings if images are named both ways.",
        (*REFUSED, Place.WARNING),
    ),
    Reason.RESERVED_HOST: Explanation(
        "The name means something else: another name of Docker Hub, which references and runtimes call `docker.io`, "
        "or a name that containerd, Spegel or registry-trust use in `certs.d` themselves.",
        'spec.registries[0]: "registry-1.docker.io" is Docker Hub, which image references and runtimes call '
        "docker.io; write docker.io",
        "Write `docker.io` for Docker Hub; otherwise name the registry as image references do.",
        REFUSED,
    ),
    Reason.DUPLICATE_REGISTRY: Explanation(
        "One trust lists a registry twice. Several trusts may list the same registry: they add up.",
        'spec.registries[2]: "harbor.corp.example" stands at registries[0] already; remove one of the two',
        "Remove one of the two.",
        REFUSED,
    ),
    Reason.RUNTIME_IGNORES_TLS: Explanation(
        "The files are written, but a runtime does not verify this registry: containerd and dockerd skip TLS "
        "verification for `localhost`, 127.0.0.0/8 and `[::1]` by themselves (CRI-O and Podman don't). Or dockerd "
        "has it under `insecure-registries`: then it verifies nothing, and its classic image store reads no "
        "certificate directory (so no client certificate is sent). Or dockerd names it as a mirror of Docker Hub: "
        "with the containerd image store it pulls through the mirror with what `docker.io` has. Or the registry is "
        "`docker.io`: dockerd's classic image store reads no certificate directory for Docker Hub (every other "
        "runtime does). Or `registries.conf` (CRI-O, Podman) has `insecure = true` for it, or sends its pulls to "
        "another host or mirror, and then that one's directory is used. Or a `hosts.toml` that registry-trust did "
        "not write leads to it without its CA: containerd uses no other file for a mirror.",
        "/etc/docker/daemon.json lists it under insecure-registries: dockerd verifies nothing of it, and its classic "
        "image store reads no certificate directory for it; take it out of the list and restart dockerd, or reload "
        "it: that takes a list which is [], and keeps the old one where there is none",
        "Give the registry a name of its own, or take it out of `insecure-registries`. Pulls that name the mirror "
        "itself (`docker pull mirror.corp.example/library/alpine`) do use its files. For `docker.io` with the "
        "classic store, put the CA into the node's system store. To a `hosts.toml` of another tool, add the line "
        "from the message.",
        (Place.WARNING, Place.ROW, Place.NOTICE),
    ),
}

SOURCES: Mapping[Reason, Explanation] = {
    Reason.SECRET_NOT_FOUND: Explanation(
        "There is no Secret of that name in the trust namespace. Secrets elsewhere are never read.",
        'spec.caCertificates[0].secretKeyRef: there is no Secret "harbor-ca" in namespace registry-certificates, the '
        "only one that is read; create it there, or correct the name",
        "Create or copy it there; the operator sees it at once. The namespace is the chart's `trustNamespace.name`.",
        REFUSED,
    ),
    Reason.SECRET_KEY_NOT_FOUND: Explanation(
        "The Secret exists but lacks the key named in the trust; the message lists the keys it has.",
        'spec.caCertificates[0].secretKeyRef: Secret registry-certificates/harbor-ca has no key "ca.crt"; it has '
        '"ca.pem"; cert-manager fills ca.crt only where the issuer gives one',
        "Use a key that exists. For a cert-manager issuer without `ca.crt`, put its CA into a Secret or ConfigMap of "
        "its own.",
        REFUSED,
    ),
    Reason.SECRET_TYPE_FORBIDDEN: Explanation(
        "The Secret has a type that can't be a source: a service account's token, a pull secret, a Helm release.",
        "spec.clientCertificates[0].secretRef: Secret registry-certificates/pull has type "
        '"kubernetes.io/dockerconfigjson", which never holds certificates for registries; use one of type Opaque or '
        "kubernetes.io/tls",
        "Put the certificate into a Secret of type `Opaque` or `kubernetes.io/tls`.",
        REFUSED,
    ),
    Reason.CONFIG_MAP_NOT_FOUND: Explanation(
        "There is no ConfigMap of that name in the trust namespace.",
        'spec.caCertificates[0].configMapKeyRef: there is no ConfigMap "corp-roots" in namespace '
        "registry-certificates, the only one that is read; create it there, or correct the name",
        "Create or copy it there; trust-manager can write one into every namespace.",
        REFUSED,
    ),
    Reason.CONFIG_MAP_KEY_NOT_FOUND: Explanation(
        "The ConfigMap exists but lacks the key named in the trust.",
        'spec.caCertificates[0].configMapKeyRef: ConfigMap registry-certificates/corp-roots has no key "ca.crt"; it '
        "has no keys at all",
        "Use a key that exists.",
        REFUSED,
    ),
    Reason.CLUSTER_TRUST_BUNDLE_NOT_FOUND: Explanation(
        "There is no ClusterTrustBundle of that name, or none of that signer with the labels of `labelSelector`.",
        'spec.caCertificates[0].clusterTrustBundle: no ClusterTrustBundle of signer "corp.example/roots" has the '
        "labels of labelSelector; create one, or correct signerName or labelSelector",
        "Compare with `kubectl get clustertrustbundles --show-labels`. The name of a signer's begins with the signer's "
        "own, with `:` for `/`.",
        REFUSED,
    ),
    Reason.CLUSTER_TRUST_BUNDLES_UNAVAILABLE: Explanation(
        "The API server does not serve ClusterTrustBundles, or does not let the operator read them. Other sources "
        "are not affected.",
        "spec.caCertificates[0].clusterTrustBundle: this API server does not serve ClusterTrustBundles (Kubernetes "
        "1.37 does, earlier versions only if they are enabled); put the certificates into a ConfigMap and name that",
        "Enable `certificates.k8s.io/v1beta1` with the feature gate `ClusterTrustBundle`, upgrade to Kubernetes 1.37, "
        "or use a ConfigMap. If the operator may not read them, apply the chart or `deploy/` again. It checks again "
        "every ten minutes.",
        REFUSED,
    ),
    Reason.EMPTY_DATA: Explanation(
        "The key exists but is empty, or has only what a template writes for an empty value (`null`, `{}`).",
        "spec.caCertificates[0].secretKeyRef: Secret registry-certificates/harbor-ca key ca.crt: is empty; put the "
        "CA certificate of the registry there, as PEM",
        "Fill it, or check the program that should have filled it.",
        REFUSED,
    ),
    Reason.TOO_LARGE: Explanation(
        "The data is larger than any registry needs: 330,000 bytes, 300 blocks or 64 self-signed server certificates "
        "for one source of CA certificates, 36,500 bytes for a client chain, 13,000 for a key, 27,000 for one "
        "certificate. Data over a limit of bytes or blocks is not parsed. A whole trust may take 320 KiB of the "
        "bundle, including what `spec.caRetention` keeps (`operator.trustLimit` of the chart).",
        "spec.caCertificates[0].configMapKeyRef: ConfigMap registry-certificates/all key ca.crt: 412,005 bytes, at "
        "most 330,000 are read; give only the CA certificates that the registry needs, or split them among several "
        "sources",
        "Provide only what the registry needs.",
        REFUSED,
    ),
}
