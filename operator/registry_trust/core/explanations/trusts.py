"""Explanations of what can be wrong with the text of a trust, and with the objects that it names."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.core.explanations.explanation import REFUSED, Explanation, Place
from registry_trust.core.reasons import Reason

TRUSTS: Mapping[Reason, Explanation] = {
    Reason.INVALID_SPEC: Explanation(
        "A field is missing, unknown, or has a value that the API does not allow. The API server itself rejects most "
        "of these; this one came through an older CRD, or from `registry-trust render`.",
        "Correct the field named in the message; `kubectl explain registrytrust.spec` describes each.",
        REFUSED,
    ),
    Reason.INVALID_SELECTOR: Explanation(
        "`nodeSelector`, or the `labelSelector` of a source, can't be used: one of its labels or expressions is not "
        "valid, or `nodeSelector` is empty.",
        "Leave it out for every node, or name labels as a Deployment's `selector` would.",
        REFUSED,
    ),
    Reason.INVALID_HOST: Explanation(
        "A registry is not the `host` or `host:port` that an image reference can name. Runtimes compare the "
        "directory's name with the reference byte for byte, so a near miss is never read.",
        "Copy what is before the first `/` of an image's name, upper case included: no scheme, path or wildcard.",
        REFUSED,
    ),
    Reason.INVALID_PORT: Explanation(
        "A registry's port is not a number from 1 to 65535 in plain digits. As a warning: the name ends in `:443`, "
        "and then it applies only to image references that include `:443`, because the two are different directories.",
        "Write the port as image references do; list both spellings if images are named both ways.",
        (*REFUSED, Place.WARNING),
    ),
    Reason.RESERVED_HOST: Explanation(
        "The name means something else: another name of Docker Hub, which references and runtimes call `docker.io`, "
        "or a name that containerd, Spegel or registry-trust use in `certs.d` themselves.",
        "Write `docker.io` for Docker Hub; otherwise name the registry as image references do.",
        REFUSED,
    ),
    Reason.DUPLICATE_REGISTRY: Explanation(
        "One trust lists a registry twice. Several trusts may list the same registry: they add up.",
        "Remove one of the two.",
        REFUSED,
    ),
    Reason.RUNTIME_IGNORES_TLS: Explanation(
        "The files are written, but a runtime does not verify this registry: containerd and dockerd always skip TLS "
        "verification for `localhost`, 127.0.0.0/8 and `[::1]` by themselves (CRI-O and Podman don't). Or dockerd "
        "has it under `insecure-registries`: then it verifies nothing, and its classic image store reads no "
        "certificate directory (so no client certificate is sent). Or dockerd names it as a mirror of Docker Hub: "
        "with the containerd image store it pulls through the mirror with what `docker.io` has. Or the registry is "
        "`docker.io`: dockerd's classic image store reads no certificate directory for Docker Hub (every other "
        "runtime does). Or `registries.conf` (CRI-O, Podman) has `insecure = true` for it, or sends its pulls to "
        "another host or mirror, and then that one's directory is used. Or a `hosts.toml` that registry-trust did "
        "not write leads to it without its CA: containerd uses no other file for a mirror.",
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
        "Create or copy it there; the operator sees it at once. The namespace is the chart's `trustNamespace.name`.",
        REFUSED,
    ),
    Reason.SECRET_KEY_NOT_FOUND: Explanation(
        "The Secret exists but lacks the key named in the trust; the message lists the keys it has.",
        "Use a key that exists. For a cert-manager issuer without `ca.crt`, put its CA into a Secret or ConfigMap of "
        "its own.",
        REFUSED,
    ),
    Reason.SECRET_TYPE_FORBIDDEN: Explanation(
        "The Secret has a type that can't be a source: a service account's token, a pull secret, a Helm release.",
        "Put the certificate into a Secret of type `Opaque` or `kubernetes.io/tls`.",
        REFUSED,
    ),
    Reason.CONFIG_MAP_NOT_FOUND: Explanation(
        "There is no ConfigMap of that name in the trust namespace.",
        "Create or copy it there; trust-manager can write one into every namespace.",
        REFUSED,
    ),
    Reason.CONFIG_MAP_KEY_NOT_FOUND: Explanation(
        "The ConfigMap exists but lacks the key named in the trust.",
        "Use a key that exists.",
        REFUSED,
    ),
    Reason.CLUSTER_TRUST_BUNDLE_NOT_FOUND: Explanation(
        "There is no ClusterTrustBundle of that name, or none of that signer with the labels of `labelSelector`.",
        "Compare with `kubectl get clustertrustbundles --show-labels`. The name of a signer's begins with the signer's "
        "own, with `:` for `/`.",
        REFUSED,
    ),
    Reason.CLUSTER_TRUST_BUNDLES_UNAVAILABLE: Explanation(
        "The API server does not serve ClusterTrustBundles, or does not let the operator read them. Other sources "
        "are not affected.",
        "Enable `certificates.k8s.io/v1beta1` with the feature gate `ClusterTrustBundle`, upgrade to Kubernetes 1.37, "
        "or use a ConfigMap. If the operator may not read them, apply the chart or `deploy/` again. It checks again "
        "every ten minutes.",
        REFUSED,
    ),
    Reason.EMPTY_DATA: Explanation(
        "The key exists but is empty, or has only what a template writes for an empty value (`null`, `{}`).",
        "Fill it, or check the program that should have filled it.",
        REFUSED,
    ),
    Reason.TOO_LARGE: Explanation(
        "The data is larger than any registry needs: 330,000 bytes, 300 blocks or 64 self-signed server certificates "
        "for one source of CA certificates, 36,500 bytes for a client chain, 13,000 for a key, 27,000 for one "
        "certificate. Data over a limit of bytes or blocks is not parsed. A whole trust may take 320 KiB of the "
        "bundle, including what `spec.caRetention` keeps (`operator.trustLimit` of the chart).",
        "Provide only what the registry needs.",
        REFUSED,
    ),
}
