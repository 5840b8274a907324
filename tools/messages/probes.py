"""Probes: what is said of a registry by what it shows and by what the trust has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

from cryptography import x509

from registry_trust.agent.probe.probe import not_as_loopback, not_through
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.verdict.certificates import read
from registry_trust.core.verdict.judge import Trusted, judge_answer, judge_server, sending
from registry_trust.core.verdict.sending import ClientFiles
from registry_trust.core.verdict.sighting import Ending, Sighting
from registry_trust.core.verdict.tls_messages import TLS_1_3, CertificateRequest, ServerMessages
from registry_trust.core.verdict.verdict import State, Verdict
from tools import der, pki
from tools.messages.cluster import NOW, REGISTRY
from tools.pki import Issued, issue, root

HOST = REGISTRY.partition(":")[0]
DAY = timedelta(days=1)
OK = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
SCHEMES = frozenset({0x0403, 0x0804})


@dataclass(frozen=True, slots=True)
class Probed:
    """A case in a sentence: what was seen, what is trusted, and the verdict."""

    sentence: str
    seen: Sighting
    trust: Trusted
    state: State
    reason: Reason


def verdict(one: Probed) -> Verdict:
    """Return the verdict of the real code."""
    found = judge_server(REGISTRY, one.seen, one.trust, NOW)
    return found or judge_answer(REGISTRY, one.seen, one.trust, sending(one.seen, one.trust).pair)


def said() -> Iterator[Problem]:
    """Yield what is said of every case."""
    yield from (verdict(one).problem for one in cases())
    yield not_as_loopback("localhost:5000").problem
    yield not_through("HTTPS_PROXY", REGISTRY).problem


def server(issuer: Issued | None = None, *, names: tuple[str, ...] = (HOST,), **more: Any) -> Issued:
    """Return a certificate of the registry."""
    return issue(HOST, pki.curve_key(9), issuer=issuer, ca=False, names=names, **more)


def intermediate(issuer: Issued, **more: Any) -> Issued:
    """Return a CA between a root and the registry."""
    return issue("Issuing CA", pki.curve_key(8), issuer=issuer, ca=True, signs=True, **more)


def shows(*chain: Issued | bytes, answer: bytes = OK, request: CertificateRequest | None = None) -> Sighting:
    """Return what is seen of a registry that shows these certificates and answers."""
    ders = tuple(each if isinstance(each, bytes) else each.der for each in chain)
    return Sighting(Ending.ANSWERED, messages=ServerMessages(TLS_1_3, 29, ders, request), answer=answer)


def trusts(*authorities: Issued, pair: Issued | None = None) -> Trusted:
    """Return a trust of these CA certificates, with all of the system's roots in sight."""
    pairs = (ClientFiles("/certs.d/client.cert", "/certs.d/client.key", read([pair.der])),) if pair else ()
    return Trusted(tuple(each.der for each in authorities), (), pairs)


def asking(issuer: Issued | None = None) -> CertificateRequest:
    """Return a request for a client certificate, of any CA or of one."""
    names = (issuer.certificate.subject.public_bytes(),) if issuer else ()
    return CertificateRequest(names, SCHEMES)


def refused(seen: Sighting, alert: int) -> Sighting:
    """Return the same with an alert instead of an answer."""
    return replace(seen, ending=Ending.REFUSED, detail="", alert=alert, answer=b"")


def answers(head: str, body: str = "") -> bytes:
    """Return an HTTP answer."""
    return (head.replace("\n", "\r\n") + "\r\n\r\n" + body).encode("latin-1")


NO_CERTIFICATE = answers("HTTP/1.1 400 Bad Request\nServer: nginx", "<h1>No required SSL certificate was sent</h1>")
ABROAD = 'HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Bearer realm="https://auth.example/token",service="x"'
AT_HOME = f'HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Bearer realm="https://{REGISTRY}/token",service="x"'


@cache
def cases() -> tuple[Probed, ...]:
    """Return every case."""
    return tuple(
        Probed(sentence, seen, trust, State(state), reason)
        for state, rows in (("Verified", _verified()), ("Failed", _failed()), ("Unknown", _unknown()))
        for sentence, seen, trust, reason in rows
    )


_Rows = list[tuple[str, Sighting, Trusted, Reason]]


def _verified() -> _Rows:
    ours, client = server(root()), pki.client()
    middle = intermediate(root())
    below = server(middle)
    told = shows(ours, request=asking(root()))
    rows: list[tuple[str, Sighting, Trusted]] = [
        ("issued by the trust's CA", shows(ours), trusts(root())),
        ("the trust has more CAs", shows(ours), trusts(root(1), root())),
        ("a chain with its intermediate", shows(below, middle), trusts(root())),
        ("in the wrong order, with its root and a stranger", shows(below, root(), root(3), middle), trusts(root())),
        ("the intermediate itself is trusted", shows(below), trusts(middle)),
        ("the certificate itself is trusted", shows(ours), trusts(ours)),
        ("an old CA of the same name is trusted, too", shows(ours), trusts(renamed(1), root())),
        ("an expired CA of the same key is trusted, too", shows(ours), trusts(expired_root(), root())),
        ("a client certificate that fits", told, trusts(root(), pair=client)),
        ("a request that takes no client certificate of the trust", told, trusts(root())),
        ("a token server at the registry itself", shows(ours, answer=answers(AT_HOME)), trusts(root())),
        ("an answer 200", shows(ours, answer=answers("HTTP/1.1 200 OK")), trusts(root())),
    ]
    return [(sentence, seen, trust, Reason.VERIFIED) for sentence, seen, trust in rows]


def renamed(number: int) -> Issued:
    """Return a CA with the first one's name and another key."""
    return issue("Corp Root 0", pki.curve_key(number), ca=True, signs=True)


def expired_root() -> Issued:
    """Return the first CA as it was before its renewal."""
    return issue("Corp Root 0", pki.curve_key(0), ca=True, signs=True, not_after=NOW - DAY)


def _failed() -> _Rows:
    ours, middle = server(root()), intermediate(root())
    below, client = server(middle), pki.client()
    no_ca = issue("Corp Root 0", pki.curve_key(0), ca=False)
    for_clients = issue("Corp Root 0", pki.curve_key(0), ca=True, usages=(pki.CLIENT_AUTH,))
    common = issue(HOST, pki.curve_key(9), issuer=root(), ca=False)
    unnamed = issue("other", pki.curve_key(9), issuer=root(), ca=False)
    told = shows(ours, request=asking(root()))
    other = shows(ours, request=asking(root(5)))
    certificate = Reason.CLIENT_CERTIFICATE_REFUSED
    return [
        ("of a CA that the trust has not", shows(ours), trusts(root(1)), Reason.UNKNOWN_AUTHORITY),
        ("a CA of that name with another key", shows(ours), trusts(renamed(1)), Reason.UNKNOWN_AUTHORITY),
        ("no trust at all", shows(ours), trusts(), Reason.UNKNOWN_AUTHORITY),
        ("its intermediate is not shown", shows(below), trusts(root()), Reason.UNKNOWN_AUTHORITY),
        ("what has the issuer's name is no CA", shows(ours), trusts(no_ca), Reason.UNKNOWN_AUTHORITY),
        ("its CA is for clients", shows(ours), trusts(for_clients), Reason.UNKNOWN_AUTHORITY),
        ("its CA has expired", shows(ours), trusts(expired_root()), Reason.OUTSIDE_VALIDITY),
        ("it has expired", shows(server(root(), not_after=NOW - DAY)), trusts(root()), Reason.OUTSIDE_VALIDITY),
        ("not yet valid", shows(server(root(), not_before=NOW + DAY)), trusts(root()), Reason.OUTSIDE_VALIDITY),
        ("other names", shows(server(root(), names=("a.example", "10.0.0.7"))), trusts(root()), Reason.WRONG_NAME),
        ("no name at all", shows(unnamed), trusts(root()), Reason.WRONG_NAME),
        ("a Common Name alone", shows(common), trusts(root()), Reason.COMMON_NAME_ONLY),
        ("for clients", shows(server(root(), usages=(pki.CLIENT_AUTH,))), trusts(root()), Reason.NOT_FOR_SERVERS),
        ("plain HTTP", Sighting(Ending.NOT_TLS), trusts(root()), Reason.NOT_TLS),
        ("no client certificate", refused(told, 116), trusts(root()), certificate),
        ("none that the registry names", refused(other, 116), trusts(root(), pair=client), certificate),
        ("a client certificate that is refused", refused(told, 42), trusts(root(), pair=client), certificate),
        ("nginx wants one", replace(told, answer=NO_CERTIFICATE), trusts(root()), certificate),
    ]


def _unknown() -> _Rows:
    ours = server(root())
    told = shows(ours, request=asking(root()))
    unseen = replace(trusts(root(1)), system=None)
    odd = shows(der.handmade(serial=b"\xff"))
    rejected = replace(shows(ours), ending=Ending.REJECTED, detail="EE certificate key too weak", answer=b"")
    group = replace(shows(ours), messages=replace(shows(ours).messages, group=0x001E))
    lost = Sighting(Ending.UNREACHABLE, "10.0.0.7: Connection refused")
    moved = answers("HTTP/1.1 301 Moved\nLocation: https://www.example/")
    constrained = issue(
        "Corp Root 0",
        pki.curve_key(0),
        ca=True,
        signs=True,
        more=((x509.NameConstraints([x509.DNSName("corp.example")], None), True),),
    )
    unclear = Reason.VERDICT_UNCLEAR
    return [
        ("system roots out of sight", shows(ours), unseen, Reason.SYSTEM_ROOTS_NOT_SEEN),
        ("no connection", lost, trusts(root()), Reason.REGISTRY_UNREACHABLE),
        ("an alert before any certificate", Sighting(Ending.REFUSED, "", 112), trusts(), Reason.REGISTRY_UNREACHABLE),
        ("an end without a request", refused(shows(ours), 80), trusts(root()), Reason.REGISTRY_UNREACHABLE),
        ("another alert to a client", refused(told, 80), trusts(root()), Reason.REGISTRY_UNREACHABLE),
        ("token server abroad", shows(ours, answer=answers(ABROAD)), trusts(root()), Reason.LEADS_ELSEWHERE),
        ("a redirect", shows(ours, answer=moved), trusts(root()), Reason.LEADS_ELSEWHERE),
        ("500", shows(ours, answer=answers("HTTP/1.1 500 \xff")), trusts(root()), Reason.UNEXPECTED_ANSWER),
        ("not HTTP", shows(ours, answer=b"220 smtp\r\n\r\n"), trusts(root()), Reason.UNEXPECTED_ANSWER),
        ("a negative serial number", odd, trusts(root()), unclear),
        ("OpenSSL refuses", rejected, trusts(root()), unclear),
        ("a key exchange that Go has not", group, trusts(root()), unclear),
        ("name constraints", shows(ours), trusts(constrained), unclear),
    ]
