"""Explanations of what a probe says of pulls from a registry; the page "Why is my pull failing?" has more of each."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.core.explanations.explanation import Explanation, Place
from registry_trust.core.reasons import Reason

_PROBE = (Place.PROBE,)
_PAGE = "docs/why-is-my-pull-failing.md"

VERDICTS: Mapping[Reason, Explanation] = {
    Reason.VERIFIED: Explanation(
        "The registry's certificate, name and dates are what Go accepts with this trust, the client certificate is "
        "accepted if the registry wants one, and it answers as a registry does (200 or 401). Whether an image exists "
        "and its pull secret is right was not asked.",
        "Nothing to do.",
        _PROBE,
    ),
    Reason.UNKNOWN_AUTHORITY: Explanation(
        "No CA certificate of the trust or of the node's system vouches for what the registry shows. Every pull fails "
        "with `x509: certificate signed by unknown authority`.",
        f"Put the CA certificate that the message names into `caCertificates`. If the chain stops early, let the "
        f"registry send its intermediate ({_PAGE}).",
        _PROBE,
    ),
    Reason.OUTSIDE_VALIDITY: Explanation(
        "By the node's clock, the registry's certificate or a CA above it has expired or is not yet valid. Every pull "
        "fails with `x509: certificate has expired or is not yet valid`.",
        "Renew the certificate that the message names, or correct the node's clock.",
        _PROBE,
    ),
    Reason.WRONG_NAME: Explanation(
        "The registry's certificate does not name the host that images name. Every pull fails with `x509: certificate "
        "is valid for ..., not ...`; no CA can fix that.",
        "Have the registry's certificate issued with that name, or use a name that it has, in images and trust alike.",
        _PROBE,
    ),
    Reason.NOT_FOR_SERVERS: Explanation(
        "The registry's certificate has an extended key usage without serverAuth. Every pull fails with `x509: "
        "certificate specifies an incompatible key usage`.",
        "Have it issued again for servers (cert-manager: `usages: [server auth]`).",
        _PROBE,
    ),
    Reason.CLIENT_CERTIFICATE_REFUSED: Explanation(
        "The registry requires a client certificate, and refuses the one that a runtime sends, or that it sends none. "
        "Every pull fails with `remote error: tls: certificate required`, `bad certificate` or `handshake failure`, "
        "or with HTTP 400 by nginx.",
        f"Use a client certificate of a CA that the registry accepts, with its intermediates in `tls.crt` ({_PAGE}).",
        _PROBE,
    ),
    Reason.NOT_TLS: Explanation(
        "The registry answers without TLS. Every pull fails with `http: server gave HTTP response to HTTPS client`, "
        "unless the runtime's own configuration calls the registry insecure.",
        "Name the port that speaks TLS, or set up TLS at the registry.",
        _PROBE,
    ),
    Reason.NOT_PROBED: Explanation(
        "A probe would not be what the runtime does: it uses a proxy or a mirror first, does not verify this host, or "
        "its files can't be read in one way only. Nothing is known of pulls.",
        "Nothing, if the message says what you intended. Otherwise change what it names.",
        _PROBE,
    ),
    Reason.REGISTRY_UNREACHABLE: Explanation(
        "The registry did not answer: no address, no connection, or an end without an answer in time. A pull may still "
        "work: runtimes use the node's own network, which a NetworkPolicy or `/etc/hosts` can make another one.",
        "Try it on the node: `curl -v https://REGISTRY/v2/`. If that works, the probe's pod has another network.",
        _PROBE,
    ),
    Reason.SYSTEM_ROOTS_NOT_SEEN: Explanation(
        "The trust alone does not vouch for what the registry shows, and the node's system roots, which runtimes use, "
        "too, can't be seen from where the probe runs.",
        "If the CA is a private one, read this as `UnknownAuthority` and put it into `caCertificates`.",
        _PROBE,
    ),
    Reason.LEADS_ELSEWHERE: Explanation(
        "TLS with the registry works, and it sends clients on to another server (a token server, a redirect). A probe "
        "contacts no server that a registry names: it could be any address that the node reaches.",
        "Check that server's certificate yourself. Runtimes use the registry's files there, so its CA belongs in the "
        "same trust.",
        _PROBE,
    ),
    Reason.UNEXPECTED_ANSWER: Explanation(
        "TLS with the registry works, and it does not answer as a registry does.",
        "Check the port and the proxy in front of the registry: `curl -v https://REGISTRY/v2/` must give 200 or 401.",
        _PROBE,
    ),
    Reason.VERDICT_UNCLEAR: Explanation(
        "Versions of Go, which runtimes are built with, differ in what the registry shows, or this probe can't judge "
        "it as Go does: SHA-1, name constraints, critical extensions, very small keys.",
        "Pull once on one node and see. Most such certificates should be issued again.",
        _PROBE,
    ),
}
