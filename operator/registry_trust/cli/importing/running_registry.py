"""A running registry: its chain is shown, and one certificate of it is taken if somebody confirms it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from registry_trust.certificates.shown_chain import Role, Shown, best, read_chain
from registry_trust.cli.importing.found import Found, Gravity, Notice, Reading, Text, lost
from registry_trust.cli.importing.handshake import NoHandshake, shown_by
from registry_trust.core.errors import RegistryTrustError
from registry_trust.core.layout import DOCKER_HUB
from registry_trust.core.registry import check, split
from registry_trust.core.text import quote
from registry_trust.core.times import rfc3339
from registry_trust.core.x509.hosts import is_named

_MISSES = {
    Role.SELF_SIGNED: "It vouches for exactly this certificate: when the registry gets a new one, pulls fail until "
    "this trust has it too.",
    Role.INTERMEDIATE: "The registry does not send the root CA above it. Trusted as a root, this one works until the "
    "registry's certificate comes from another intermediate. Better: ask for the root CA, {issuer}, and import that.",
    Role.ROOT: "The registry sends it itself. That does not make it genuine: whoever answers can send any.",
}


def read(registry: str, fingerprint: str) -> Reading:
    """Return the certificate of a registry's chain that was confirmed, by its fingerprint or at a terminal.

    Args:
        registry: `host[:port]`, as in an image reference.
        fingerprint: SHA-256 of a certificate's DER, 64 hex digits in lower case; empty to be asked.
    """
    try:
        host, port = split(check(registry))
        server = "registry-1.docker.io" if registry == DOCKER_HUB else host.strip("[]")
        chain = read_chain(shown_by(server, int(port or 443)), registry)
    except NoHandshake as error:
        return lost(f"{registry} shows no certificate: {error}")
    except RegistryTrustError as error:
        return lost(str(error.problem))
    _show(registry, chain)
    if fingerprint:
        return _by_fingerprint(registry, chain, fingerprint)
    return _asked(registry, chain)


def _show(registry: str, chain: Sequence[Shown]) -> None:
    click.echo(f"{registry} shows {len(chain)} certificate{'s' if len(chain) != 1 else ''}:", err=True)
    for number, shown in enumerate(chain, 1):
        found = shown.certificate.structure
        click.echo(
            f"  {number}. {shown.role.value}\n"
            f"     sha256:{shown.certificate.sha256}\n"
            f"     subject {quote(found.subject)}, issuer {quote(found.issuer)}\n"
            f"     valid from {rfc3339(found.not_before)} to {rfc3339(found.not_after)}",
            err=True,
        )


def _by_fingerprint(registry: str, chain: Sequence[Shown], fingerprint: str) -> Reading:
    chosen = next((shown for shown in chain if shown.certificate.sha256 == fingerprint), None)
    if chosen is None:
        return lost(
            f"{registry} shows no certificate with the fingerprint sha256:{fingerprint}; either the registry has a new "
            "certificate, or another server answers in its place. Ask whoever runs it before you go on"
        )
    if chosen.role is Role.UNRELATED:
        return lost(f"{registry}: sha256:{fingerprint} is {chosen.role.value}, so it would not make pulls work")
    return _taken(registry, chain, chosen)


def _asked(registry: str, chain: Sequence[Shown]) -> Reading:
    chosen = best(chain)
    if chosen is None:
        own = chain[0].certificate
        return lost(
            f"{registry} sends only its own certificate, and not that of the CA that issued it, "
            f"{quote(own.structure.issuer)}. Ask for that CA's certificate. To trust this one certificate until it is "
            f"replaced, compare its fingerprint with whoever runs the registry, and add "
            f"--fingerprint sha256:{own.sha256}"
        )
    found = chosen.certificate.structure
    click.echo(f"\nTo be trusted: {quote(found.subject)}, sha256:{chosen.certificate.sha256}", err=True)
    click.echo(_MISSES[chosen.role].format(issuer=quote(found.issuer)), err=True)
    if not sys.stdin.isatty():
        return lost(
            f"{registry}: nobody confirmed the fingerprint. Compare it with whoever runs the registry, not over this "
            f"connection; then add --fingerprint sha256:{chosen.certificate.sha256}"
        )
    if not click.confirm("Did whoever runs the registry give you this fingerprint?", default=False, err=True):
        return lost(f"{registry}: its fingerprint was not confirmed")
    return _taken(registry, chain, chosen)


def _taken(registry: str, chain: Sequence[Shown], chosen: Shown) -> Reading:
    notices: list[Notice] = []
    if not is_named(registry, chain[0].certificate.structure.extensions):
        gist = f"its own certificate does not name {quote(split(registry)[0])}, so pulls will still fail"
        notices.append(Notice(Gravity.WARNING, f"{registry}: {gist}; have it reissued with that subjectAltName"))
    place = f"{registry} (sha256:{chosen.certificate.sha256[:16]}...)"
    return Reading((Found(registry, place, (Text(place, chosen.certificate.pem),)),), tuple(notices))
