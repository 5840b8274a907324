"""One trust, compiled again and again as its sources change; every step is a restart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from registry_trust.compiler.compile import Compiled, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.sources import SourceObject, Sources
from registry_trust.core.bundle import Bundle, reference_of
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.reasons import Reason
from registry_trust.core.trust import ClientSource, SourceKind, SourceRef, Trust
from tools.authority import Authority

NOW = float(int(time.time()))
DAY = 86_400.0
YEAR = 365 * DAY
FIRST, SECOND, THIRD = (Authority.create(f"CA {number}") for number in range(3))
OLD, NEW, LAST = (reference_of(authority.pem) for authority in (FIRST, SECOND, THIRD))
CA = SourceRef("Secret", "ca", "ca.crt")
OTHER = SourceRef("Secret", "other", "ca.crt")


def trust(**changes: object) -> TrustInput:
    spec = Trust("harbor", "uid", "2027-01-01T00:00:00Z", 1, ("harbor.example",), (CA,))
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    return TrustInput(spec.name, spec.uid, spec.created, spec.generation, spec)


def sources(**pems: bytes) -> Sources:
    found = (
        SourceObject(SourceKind.SECRET, name, str(hash(pem)), {"ca.crt": pem}, "Opaque") for name, pem in pems.items()
    )
    return Sources.of("registry-trust", found)


def pair_of(secret: str, name: str = "client") -> ClientSource:
    return ClientSource(SourceRef("Secret", secret, "tls.crt"), SourceRef("Secret", secret, "tls.key"), name)


class Operator:
    """Compiles again and again, each time from what the bundle's Secret would hold: every step is a restart."""

    def __init__(self, item: TrustInput | None = None, given: Mapping[str, bytes] | None = None, **pems: bytes) -> None:
        self.bundle = Bundle()
        self.trust = item or trust()
        self.sources = sources(**{**(given or {}), **pems})
        self.now = NOW
        self.result: Compiled = self.step()

    def step(
        self,
        item: TrustInput | None = None,
        given: Mapping[str, bytes] | None = None,
        *,
        later: float = 0,
        clock: float = 0,
        **pems: bytes,
    ) -> Compiled:
        self.trust = item or self.trust
        self.sources = sources(**{**(given or {}), **pems}) if given or pems else self.sources
        self.now += later
        last = decode(encode(self.bundle)) if self.bundle.serial else self.bundle
        self.result = compile_bundle(
            [self.trust], self.sources, last, self.now + clock, checker=Checker(), steady=self.now
        )
        self.bundle = self.result.bundle
        return self.result

    def trusted(self) -> set[str]:
        found = self.bundle.trust("harbor")
        assert found is not None
        assert found.content is not None
        return set(found.content.ca_certificates)

    def retained(self) -> dict[str, float]:
        certificates = self.result.outcomes["harbor"].certificates
        return {c.facts.subject: c.retained_until for c in certificates if c.retained_until is not None}


def told(result: Compiled) -> list[str]:
    return [str(w.field) for w in result.outcomes["harbor"].warnings if w.reason is Reason.ROOT_REPLACED]
