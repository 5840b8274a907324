"""The verdict: what a handshake and a trust say about pulls, in the words of "Why is my pull failing?"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from registry_trust.core.reasons import Reason
from registry_trust.core.registry import split
from registry_trust.core.text import listing, quote
from registry_trust.core.times import rfc3339
from registry_trust.core.verdict.certificates import ParsedCertificate, read
from registry_trust.core.verdict.paths import Grade, Miss, Obstacle, Paths, find_paths
from registry_trust.core.verdict.sending import ClientFiles, Sending, choose
from registry_trust.core.verdict.sighting import Ending, Sighting
from registry_trust.core.verdict.tls_messages import GO_GROUPS, REFUSALS
from registry_trust.core.verdict.verdict import Verdict, failed, unknown, verified
from registry_trust.core.x509.extensions import serves
from registry_trust.core.x509.hosts import alternative_name, is_common_name, is_named, server_of
from registry_trust.core.x509.names import common_name

_LARGEST_MESSAGE = 1 << 16
"""Bytes of one handshake message in every Go (maxHandshake)."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """What a runtime uses for one registry.

    Attributes:
        own: DER of the CA certificates in the registry's directory.
        system: DER of the host's own CA certificates; None if they can't all be seen.
        pairs: the client pairs in the loader's order.
    """

    own: tuple[bytes, ...] = ()
    system: tuple[bytes, ...] | None = None
    pairs: tuple[ClientFiles, ...] = field(default=(), repr=False)


def judge_server(  # noqa: PLR0911 - one question after the other, in Go's order
    registry: str, seen: Sighting, trust: Trusted, now: datetime
) -> Verdict | None:
    """Return the verdict on what the registry showed; None if Go accepts it, and its answer decides.

    Args:
        registry: `host[:port]` as in an image reference.
        seen: the first conversation, in which no client certificate was sent.
        trust: what the runtime uses.
        now: the node's time.
    """
    early = _without_certificate(registry, seen)
    if early is not None:
        return early
    chain = read(seen.messages.chain)
    shown = tuple("can't be read" if each is None else each.in_words() for each in chain)
    certificates = [each for each in chain if each is not None]
    if len(certificates) != len(chain):
        what = f"certificate {chain.index(None) + 1} of {len(chain)} that {quote(registry)} shows has a form that some "
        return unknown(Reason.VERDICT_UNCLEAR, f"{what}versions of Go can't read; pull once, and see", shown)
    leaf = certificates[0]
    problem = _own_faults(registry, leaf, now)
    if problem is not None:
        return failed(*problem, shown)
    own, system = read(trust.own), read(_issuers(trust.system or (), certificates))
    paths = find_paths(certificates, _by_subject((*own, *system)), now)
    if paths.grades or not paths.exhausted:
        doubt = _doubt(seen, paths)
        return unknown(Reason.VERDICT_UNCLEAR, f"{doubt}; pull once, and see", shown) if doubt else None
    if None in own:
        return unknown(Reason.VERDICT_UNCLEAR, "the trust has a CA certificate that can't be read here", shown)
    reason, message = _no_path(registry, paths, [each for each in own if each is not None], now)
    if trust.system is None or None in system:
        gist = "The node's system roots can't be seen from here, and may have it"
        return unknown(Reason.SYSTEM_ROOTS_NOT_SEEN, f"{message}. {gist}", shown)
    return failed(reason, message, shown)


def sending(seen: Sighting, trust: Trusted) -> Sending:
    """Return which client pair a runtime sends after what it saw."""
    request = seen.messages.request
    return Sending(None) if request is None else choose(request, seen.messages.version, trust.pairs)


def judge_answer(registry: str, seen: Sighting, trust: Trusted, sent: ClientFiles | None) -> Verdict:
    """Return the verdict on the registry's answer, after `judge_server` had nothing to say.

    Args:
        registry: `host[:port]` as in an image reference.
        seen: the conversation in which the runtime's choice of a client pair was sent.
        trust: what the runtime uses.
        sent: that choice.
    """
    chain = read(seen.messages.chain)
    shown = tuple(each.in_words() for each in chain if each is not None)
    request = seen.messages.request
    if request is not None and ((seen.ending is Ending.REFUSED and seen.alert in REFUSALS) or seen.wants_certificate):
        gist = _refusal(registry, seen, trust, sent)
        return failed(Reason.CLIENT_CERTIFICATE_REFUSED, gist, shown)
    if seen.ending is not Ending.ANSWERED:
        gist = f"{quote(registry)} shows a certificate that runtimes accept, and gives no answer: {_how(seen)}"
        return unknown(Reason.REGISTRY_UNREACHABLE, f"{gist}; read the registry's log", shown)
    where = _elsewhere(registry, seen)
    if where:
        return unknown(Reason.LEADS_ELSEWHERE, where, shown)
    if seen.status not in (200, 401):
        said = f"HTTP {seen.status}" if seen.status else "something that is not HTTP/1.1"
        gist = f"TLS works, and {quote(registry)} answers GET /v2/ with {said} instead of 200 or 401"
        return unknown(Reason.UNEXPECTED_ANSWER, f"{gist}; ask whoever runs the registry", shown)
    how = f", with the client certificate {sent.certificate}" if sent else ""
    leaf = chain[0]
    until = f", which is valid until {rfc3339(leaf.structure.not_after)}" if leaf else ""
    return verified(f"{quote(registry)} shows a certificate that runtimes accept{until}, and answers{how}", shown)


def _without_certificate(registry: str, seen: Sighting) -> Verdict | None:
    if seen.ending is Ending.NOT_TLS:
        gist = f"{quote(registry)} answers in plain HTTP: http: server gave HTTP response to HTTPS client"
        return failed(Reason.NOT_TLS, f"{gist}; name the port that speaks TLS, or let the registry speak it")
    if not seen.messages.chain:
        gist = f"{quote(registry)} showed no certificate: {_how(seen)}"
        return unknown(Reason.REGISTRY_UNREACHABLE, f"{gist}; check name, port and network from the node itself")
    return None


def _how(seen: Sighting) -> str:
    return "; ".join(filter(None, (seen.alert_words(), seen.detail)))


def _own_faults(registry: str, leaf: ParsedCertificate, now: datetime) -> tuple[Reason, str] | None:
    """Return what Go refuses in the registry's own certificate, whoever issued it."""
    found, wanted = leaf.structure, alternative_name(registry)
    if not leaf.is_valid_at(now):
        return Reason.OUTSIDE_VALIDITY, _dates(f"the certificate of {quote(registry)}", leaf, now)
    if not is_named(registry, found.extensions):
        if not found.extensions.has_alternative_names and is_common_name(registry, common_name(found.subject_der)):
            gist = "certificate relies on legacy Common Name field: its subject is the host, and no subjectAltName"
            return Reason.COMMON_NAME_ONLY, f"{gist} is there; have it issued again with {wanted}"
        names = (*found.extensions.dns_names, *found.extensions.ip_addresses)
        listed = listing([quote(name, 80) for name in names], 5) if names else "no name at all"
        gist = f"the certificate of {quote(registry)} is valid for {listed}, not for {quote(server_of(registry))}"
        return Reason.WRONG_NAME, f"{gist}; have it issued again with that name, or use a name that it has"
    if not serves(found.extensions):
        gist = f"the certificate of {quote(registry)} is not for servers (x509: certificate specifies an incompatible "
        return Reason.NOT_FOR_SERVERS, f"{gist}key usage); have it issued again for serverAuth"
    return None


def _no_path(registry: str, paths: Paths, own: Sequence[ParsedCertificate], now: datetime) -> tuple[Reason, str]:
    nearest = max(paths.misses, key=lambda miss: miss.obstacle, default=None)
    if nearest is not None and nearest.obstacle is Obstacle.DATES:
        return Reason.OUTSIDE_VALIDITY, _dates(
            f"the CA certificate {quote(nearest.parent.structure.subject)}", nearest.parent, now
        )
    top = paths.top.structure
    has = listing([quote(each.structure.subject, 120) for each in own]) if own else "no CA certificate"
    gist = f"certificate signed by unknown authority: the chain that {quote(registry)} shows ends at an issuer "
    gist += f"{quote(top.issuer)}, and the trust has {has}"
    return Reason.UNKNOWN_AUTHORITY, f"{gist}. {_missing(nearest, paths)}"


def _missing(nearest: Miss | None, paths: Paths) -> str:
    issuer = quote(paths.top.structure.issuer)
    if nearest is None:
        return f"Put the certificate of {issuer} into caCertificates"
    whose = quote(nearest.parent.structure.subject)
    if nearest.obstacle is Obstacle.SIGNATURE:
        return f"{whose} has that name but another key: put the present certificate of {issuer} into caCertificates"
    if nearest.obstacle is Obstacle.USAGE:
        return f"{whose} is a CA for uses other than serverAuth: have it issued again"
    if nearest.obstacle is Obstacle.PATH_LENGTH:
        return f"{whose} may not have so many intermediates below it (pathlen): have the chain issued again"
    return f"{whose} has that name and is not a CA certificate (CA:TRUE with keyCertSign): have it issued again"


def _dates(who: str, certificate: ParsedCertificate, now: datetime) -> str:
    found = certificate.structure
    what = "is not yet valid" if now < found.not_before else "has expired"
    return (
        f"{who} {what}: it is valid from {rfc3339(found.not_before)} to {rfc3339(found.not_after)}, and this node's "
        f"clock says {rfc3339(now)}; renew it, or correct the clock"
    )


def _doubt(seen: Sighting, paths: Paths) -> str:
    if not paths.exhausted:
        return "the registry shows too many certificates with the same names"
    if Grade.CLEAN not in paths.grades and Grade.DOUBTFUL in paths.grades:
        return f"versions of Go, or of a runtime, differ here: {paths.doubts[0]}"
    if seen.ending is Ending.REJECTED:
        return f"by the rules of Go a pull works, and OpenSSL says: {seen.detail}"
    if seen.messages.group and seen.messages.group not in GO_GROUPS:
        return f"the registry chose the key exchange {seen.messages.group:#06x}, which Go does not have"
    if sum(map(len, seen.messages.chain)) > _LARGEST_MESSAGE - 4096:
        return "the registry shows more certificates than older versions of Go read"
    return ""


def _refusal(registry: str, seen: Sighting, trust: Trusted, sent: ClientFiles | None) -> str:
    words = seen.alert_words() or f"HTTP {seen.status}, as nginx says it"
    if sent is not None:
        gist = f"{quote(registry)} refuses the client certificate {sent.certificate} ({words})"
        return f"{gist}; use one that the registry's own settings accept, with its intermediates in the same file"
    gist = f"{quote(registry)} requires a client certificate ({words}), and "
    if not trust.pairs:
        return f"{gist}the trust has none; add one to clientCertificates"
    count = len(seen.messages.request.authorities) if seen.messages.request else 0
    gist += f"a runtime sends none: no pair of the trust comes from one of the {count} CAs that the registry names"
    return f"{gist}; use a client certificate of one of them, with its intermediates in the same file"


def _elsewhere(registry: str, seen: Sighting) -> str:
    """Return what to say if the answer leads to another server, which may show another certificate."""
    away = [url for url in seen.leads_to() if not _is_same_server(registry, url)]
    if not away:
        return ""
    what = "sends on to" if 300 <= seen.status < 400 else "has its token server at"
    return (
        f"TLS with {quote(registry)} works, and it {what} {quote(away[0].partition('?')[0], 120)}, which is not "
        "contacted; a runtime uses the same files there, so the trust needs the CA of that server, too"
    )


def _is_same_server(registry: str, url: str) -> bool:
    try:
        parts = urlsplit(url)
        there = parts.scheme, parts.hostname, parts.port or 443, parts.username
    except ValueError:
        return False
    return there == ("https", server_of(registry).lower(), int(split(registry)[1] or 443), None)


def _issuers(system: Sequence[bytes], shown: Sequence[ParsedCertificate]) -> list[bytes]:
    """Return those of a system's roots that may have issued something that was shown: to read all takes long."""
    names = {each.structure.issuer_der for each in shown}
    return [der for der in system if any(name in der for name in names)]


def _by_subject(certificates: Sequence[ParsedCertificate | None]) -> Mapping[bytes, Sequence[ParsedCertificate]]:
    found: dict[bytes, list[ParsedCertificate]] = {}
    for certificate in certificates:
        if certificate is not None:
            found.setdefault(certificate.structure.subject_der, []).append(certificate)
    return found
