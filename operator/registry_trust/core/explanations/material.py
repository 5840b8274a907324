"""Explanations of what can be wrong with certificates and keys."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.core.explanations.explanation import REFUSED, Explanation, Place
from registry_trust.core.reasons import Reason

_WARNED = (Place.WARNING,)
_EITHER = (*REFUSED, Place.WARNING)

_CA = "spec.caCertificates[0].secretKeyRef: Secret registry-certificates/harbor-ca key ca.crt: "
_CERTIFICATE = "spec.clientCertificates[0].secretRef: Secret registry-certificates/harbor-client key tls.crt: "
_KEY = "spec.clientCertificates[0].secretRef: Secret registry-certificates/harbor-client key tls.key: "

TEXT: Mapping[Reason, Explanation] = {
    Reason.INVALID_PEM: Explanation(
        "The text is not PEM that every runtime reads. Go silently drops much that looks fine (a byte order mark, "
        "headers, two markers on one line): such text is rejected here, before it reaches a node.",
        "The message names the block and line and, if there is one, the command that fixes it.",
        REFUSED,
    ),
    Reason.CERTIFICATE_PARSE: Explanation(
        "A block is labelled as a certificate but can't be read as one: this operator is as strict as the strictest "
        "Go version, and Python's cryptography library must be able to read it, too. As a warning: other "
        "certificates of the source can be used, and this one is left out; or its serial number is 0, which some "
        "programs refuse.",
        "Copy it again from where it came from, or have it reissued. You can ignore one that is left out, unless a "
        "registry uses it. A CA that was served and can no longer be read stays for `caRetention`.",
        _EITHER,
    ),
    Reason.UNSUPPORTED_ALGORITHM: Explanation(
        "The certificate's key is of a kind or size that Go, and so every runtime, can't verify with. As a warning: "
        "it is left out and the others of its source are used; or a CA's RSA key is so large that a pull fails if "
        "the registry sends that certificate along.",
        "Have it reissued with a usual key.",
        _EITHER,
    ),
    Reason.UNSUPPORTED_EXTENSION: Explanation(
        "The certificate has a critical extension that runtimes don't know. A CA certificate is refused, or left out "
        "if the source has others, since every chain through it would be refused. For a client certificate it is a "
        "warning, since the registry decides.",
        "Have it reissued without the extension, or with the extension not marked as critical.",
        _EITHER,
    ),
    Reason.WEAK_KEY: Explanation(
        "An RSA key is shorter than 2048 bits. Runtimes still take it.",
        "Plan a new certificate with a longer key.",
        _WARNED,
    ),
    Reason.NOT_YET_VALID: Explanation(
        "The certificate is not valid yet. It is distributed all the same, and works from its start date on.",
        "Nothing, if it is meant for later; otherwise compare the clocks of the CA, the operator's node and the nodes.",
        (Place.CONDITION, Place.WARNING, Place.EVENT),
    ),
}

AUTHORITIES: Mapping[Reason, Explanation] = {
    Reason.PRIVATE_KEY_IN_CA: Explanation(
        "There is a private key among the CA certificates. It was not read any further, nor shown anywhere.",
        "Remove it. If it was in a ConfigMap or in the trust itself, consider the key compromised.",
        REFUSED,
    ),
    Reason.NOT_CA: Explanation(
        "The certificate is not a CA, so it can't vouch for others. A server's certificate is accepted with a "
        "warning, whoever issued it: it works for exactly this certificate, and must be replaced together with it. "
        "One that can't even do that (it has no subjectAltName, or is not for servers) is refused, or left out if "
        "the source has others.",
        "Put the certificate of the CA that issued the registry's certificate there; the message has the command "
        "that shows it.",
        _EITHER,
    ),
    Reason.COMMON_NAME_ONLY: Explanation(
        "A self-signed CA certificate without a subjectAltName has one of the trust's registries as its Common Name, "
        "as `openssl req -x509` makes it. If the registry shows that very certificate, Go refuses it: a name in the "
        "Common Name alone counts for nothing. Of a probe: the registry shows such a certificate, and every pull fails "
        "with `x509: certificate relies on legacy Common Name field, use SANs instead`.",
        "Make the registry's certificate again with a subjectAltName, by the command of the message. If it is a CA "
        "that issued another certificate for the registry, there is nothing to do.",
        (Place.WARNING, Place.PROBE),
    ),
    Reason.INTERMEDIATE_AS_ROOT: Explanation(
        "The certificate is an intermediate CA, and its own issuer is not in the same source. Runtimes treat it as a "
        "root, which works as long as the registry's certificate comes from this very intermediate.",
        "Use the root. If you want to trust only this intermediate, leave it.",
        _WARNED,
    ),
    Reason.NAME_CONSTRAINT: Explanation(
        "The CA's own name constraints do not allow it to issue certificates for one of the trust's registries.",
        "Use the CA that issued the registry's certificate; if this is it, runtimes reject its certificates.",
        _WARNED,
    ),
    Reason.KEY_USAGE: Explanation(
        "The certificate has another purpose. The pair of a CA that issues certificates (CA:TRUE and keyCertSign) or "
        "of a server (serverAuth without clientAuth) is refused as a client's, because its private key must not be "
        "on the nodes. As a warning: a CA's extended key usage excludes server certificates, a client's excludes "
        "client authentication, or a CA certificate without a key usage is used as a client's.",
        "Have it issued for the right purpose: `serverAuth` or none for a CA, `clientAuth` for a client "
        "(cert-manager: `usages: [client auth]`).",
        _EITHER,
    ),
}

PAIRS: Mapping[Reason, Explanation] = {
    Reason.PAIR_INCOMPLETE: Explanation(
        "Half of the pair is missing: a certificate without its key, or a key without its certificate. With half a "
        "pair runtimes fail every pull from the registry, so nothing is written.",
        "Add the other half, or move a CA certificate to `caCertificates`.",
        REFUSED,
    ),
    Reason.SWAPPED: Explanation(
        "The certificate is where the key belongs, or the key is where the certificate belongs.",
        "Swap the two, or set the right keys in `certificateKey` and `privateKeyKey`.",
        REFUSED,
    ),
    Reason.KEY_AMBIGUOUS: Explanation(
        "There is more than one item where one is expected: two private keys, a key among the certificates, or a "
        "certificate next to the key. Which one a runtime uses would depend on their order.",
        "Keep only the one that belongs there; the message has the command.",
        REFUSED,
    ),
    Reason.KEY_MISMATCH: Explanation(
        "The private key does not belong to the first certificate. Every pull would fail with `tls: private key does "
        "not match public key`. They are compared by the SHA-256 of their public keys.",
        "Use a certificate and key that were made together; in a chain, the client's own certificate comes first.",
        REFUSED,
    ),
    Reason.UNREACHABLE_CLIENT_CERTIFICATE: Explanation(
        "Go's TLS, and so every runtime, sends the first client certificate whose issuer the registry asks for, and "
        "tries no other. This one comes after another of the same issuer, so it is never sent. The other one may "
        "belong to another trust for the same registry: then the message names that trust, and it happens on every "
        "node that both select.",
        "Remove one of the two, or put the one that the registry accepts first. Of two trusts the older one comes "
        "first: let one trust have the pair, or let their `nodeSelector`s select different nodes.",
        _WARNED,
    ),
    Reason.KEY_ENCRYPTED: Explanation(
        "The private key is protected by a passphrase, and a runtime can't ask for it.",
        "Decrypt it, and protect the Secret instead (encryption at rest, narrow rights).",
        REFUSED,
    ),
    Reason.KEY_UNSUPPORTED: Explanation(
        "The private key has a type or format that runtimes can't use (DSA, Ed448, OpenSSH's own format).",
        "Convert it, or make a new key and have a certificate issued for it.",
        REFUSED,
    ),
    Reason.KEY_PARSE: Explanation(
        "There is no readable private key: it is missing, cut off, damaged, or labelled as another format.",
        "Copy it again; `openssl pkey -in client.key -check -noout` shows more.",
        REFUSED,
    ),
}
