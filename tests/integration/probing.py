"""The differential run of the probe: generated registries and trusts, before it and before loaders of three runtimes.

Command line: `python -m tests.integration.probing [CASES [SEED]]` prints the figures.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from registry_trust.agent.probe.probe import Question, probe
from registry_trust.core.layout import STORE, ClientPair, Layout, Material, Reader, entry_name, render
from registry_trust.core.verdict.verdict import State, Verdict
from tools import pki
from tools.cluster.loaders import Loaders, Pull
from tools.cluster.showing import TLS_1_2, TLS_1_3, Ask, Registries, Showing
from tools.pki import Issued, curve_key

HOST, ADDRESS = "harbor.corp.example", "10.7.0.9"
DAY = timedelta(days=1)
READERS = {
    Layout.DOCKER: Reader.DOCKERD,
    Layout.CONTAINERS: Reader.CONTAINERS,
    Layout.CONTAINERD: Reader.CONTAINERD,
}


@dataclass(frozen=True)
class Case:
    """One registry and one trust."""

    origin: str
    host: str
    showing: Showing
    trusted: tuple[Issued, ...]
    pairs: tuple[tuple[bytes, bytes], ...]
    """PEM of chain and key."""
    layout: Layout


@dataclass
class Figures:
    """What came of a run."""

    states: Counter[State] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    works: int = 0
    wrong: list[str] = field(default_factory=list)
    """Verified where the pull fails, or Failed where it works: must stay empty."""


class _Maker:
    """Makes cases from a source of chance."""

    def __init__(self, chance: random.Random, now: datetime) -> None:
        self._chance, self._now = chance, now
        self._said: list[str] = []

    def case(self) -> Case:
        self._said = []
        leaf, above, trusted = self._chain()
        host = ADDRESS if self._chance.random() < 0.1 else HOST
        if host == ADDRESS:
            self._said.append("an address")
        ask, authorities, pairs = self._clients(trusted)
        minimum, maximum = self._pick(
            ("", (TLS_1_2, TLS_1_3)), ("TLS 1.2", (TLS_1_2, TLS_1_2)), ("TLS 1.3", (TLS_1_3,) * 2)
        )
        showing = Showing(
            tuple(each.der for each in self._order(leaf, above)),
            leaf.key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            ask,
            authorities,
            minimum,
            maximum,
            self._chance.choice((200, 401)),
        )
        layout = self._chance.choice(tuple(Layout))
        return Case(", ".join(filter(None, (layout.value, *self._said))), host, showing, trusted, pairs, layout)

    def _pick(self, *choices: tuple[str, Any], often: float = 0.6) -> Any:
        """Choose one of these, the first most often, and note it."""
        said, value = choices[0] if self._chance.random() < often else self._chance.choice(choices)
        if said:
            self._said.append(said)
        return value

    def _issue(self, subject: str, key: Any, issuer: Issued | None, **more: Any) -> Issued:
        serial = self._chance.getrandbits(64) + 1
        dates = {"not_before": self._now - 100 * DAY, "not_after": self._now + 100 * DAY}
        return pki.issue(subject, key, issuer=issuer, serial=serial, **{**dates, **more})

    def _authority(self, subject: str, issuer: Issued | None, key: Any, what: str) -> Issued:
        more = self._pick(
            ("", {}),
            (f"{what} expired", {"not_after": self._now - DAY}),
            (f"{what} not yet valid", {"not_before": self._now + DAY}),
            (f"{what} without keyUsage", {"signs": None}),
            (f"{what} without keyCertSign", {"signs": False}),
            (f"{what} is no CA", {"ca": False}),
            (f"{what} without basicConstraints", {"ca": None}),
            (f"{what} for servers", {"usages": (pki.SERVER_AUTH,)}),
            (f"{what} for clients", {"usages": (pki.CLIENT_AUTH,)}),
            (f"{what} constrained to the host", {"more": (_constraint("corp.example"),)}),
            (f"{what} constrained to another", {"more": (_constraint("other.example"),)}),
            (f"{what} with identifiers", {"more": (_identifier(key),)}),
            often=0.75,
        )
        return self._issue(subject, key, issuer, **{"ca": True, "signs": True, **more})

    def _key(self, number: int, what: str) -> Any:
        kinds: tuple[tuple[str, Callable[[], Any]], ...] = (
            ("", lambda: curve_key(number)),
            (f"{what} P-384", lambda: curve_key(number, ec.SECP384R1())),
            (f"{what} RSA", lambda: pki.rsa_key(2048)),
            (f"{what} RSA 1024", lambda: pki.rsa_key(1024)),
            (f"{what} Ed25519", lambda: pki.ed25519_key(number)),
        )
        return self._pick(*kinds, often=0.75)()

    def _chain(self) -> tuple[Issued, tuple[Issued, ...], tuple[Issued, ...]]:
        """Return the registry's certificate, the CAs that it could show, and what is trusted."""
        root_key = self._key(1, "root")
        root = self._authority("Root", None, root_key, "root")
        depth = self._pick(("", 1), ("direct", 0), ("two intermediates", 2), often=0.5)
        above: tuple[Issued, ...] = ()
        issuer = root
        for number in range(depth):
            what = f"intermediate {number + 1}"
            issuer = self._authority(f"Issuing {number}", issuer, self._key(10 + number, what), what)
            above = (issuer, *above)
        if self._chance.random() < 0.08:
            self._said.append("self-signed")
            leaf, above = self._leaf(None), ()
        else:
            leaf = self._leaf(issuer)
        return leaf, above, self._trusted(root, leaf, above)

    def _leaf(self, issuer: Issued | None) -> Issued:
        more = self._pick(
            ("", {}),
            ("expired", {"not_after": self._now - DAY}),
            ("not yet valid", {"not_before": self._now + DAY}),
            ("for servers", {"usages": (pki.SERVER_AUTH,)}),
            ("for clients", {"usages": (pki.CLIENT_AUTH,)}),
            ("for both", {"usages": (pki.CLIENT_AUTH, pki.SERVER_AUTH)}),
            ("with a critical extension", {"more": (_unknown(),)}),
            often=0.75,
        )
        names = self._pick(
            ("", (HOST, ADDRESS)),
            ("wildcard", ("*.corp.example", ADDRESS)),
            ("upper case", (HOST.upper(), ADDRESS)),
            ("other names", ("other.example", "10.0.0.1")),
            ("wildcard too high", ("*.example", ADDRESS)),
            ("Common Name alone", ()),
            ("address as a name", (HOST,)),
            often=0.8,
        )
        key = self._key(30, "its key")
        leaf = self._issue(HOST, key, issuer, ca=False, names=names, **more)
        signer = issuer.key if issuer else key
        if self._chance.random() < 0.3 and hasattr(signer, "private_numbers") and hasattr(signer, "decrypt"):
            self._said.append("SHA-1")
            return Issued(x509.load_der_x509_certificate(_with_sha1(leaf.der, signer)), key)
        return leaf

    def _trusted(self, root: Issued, leaf: Issued, above: tuple[Issued, ...]) -> tuple[Issued, ...]:
        other = self._issue("Other Root", curve_key(2), None, ca=True, signs=True)
        same_name = self._issue("Root", curve_key(3), None, ca=True, signs=True, more=(_identifier(curve_key(3)),))
        expired = self._issue("Root", root.key, None, ca=True, signs=True, not_after=self._now - DAY)
        crossed = self._issue("Root", root.key, other, ca=True, signs=True)
        choices: tuple[tuple[str, tuple[Issued, ...]], ...] = (
            ("", (root,)),
            ("trusts another", (other,)),
            ("trusts another key of that name", (same_name,)),
            ("trusts both keys of that name", (same_name, root)),
            ("trusts an expired one of that key", (expired,)),
            ("trusts that and its renewal", (expired, root)),
            ("trusts its intermediate", above[:1] or (root,)),
            ("trusts its highest intermediate", above[-1:] or (root,)),
            ("trusts itself", (leaf,)),
            ("trusts nothing", ()),
            ("trusts more", (other, root, *above)),
        )
        trusted = self._pick(*choices, often=0.5)
        self._crossed = (crossed,) if trusted == (other,) else ()
        return trusted

    def _order(self, leaf: Issued, above: tuple[Issued, ...]) -> tuple[Issued, ...]:
        if self._crossed and self._chance.random() < 0.5:
            self._said.append("cross-signed")
            above = (*above, *self._crossed)
        stranger = pki.root(7)
        rows: tuple[tuple[str, tuple[Issued, ...]], ...] = (
            ("", (leaf, *above)),
            ("shows no intermediate", (leaf,)),
            ("shows them in another order", (leaf, *reversed(above))),
            ("shows a stranger", (leaf, stranger, *above)),
            ("shows one twice", (leaf, leaf, *above, *above)),
        )
        order: tuple[Issued, ...] = self._pick(*rows, often=0.7)
        return order

    def _clients(self, trusted: tuple[Issued, ...]) -> tuple[Ask, tuple[bytes, ...], tuple[tuple[bytes, bytes], ...]]:
        ask = self._pick(("", Ask.NO), *((f"asks: {each.name}", each) for each in Ask), often=0.5)
        if ask is Ask.NO and self._chance.random() < 0.8:
            return ask, (), ()
        root, other = pki.root(20), pki.root(21)
        dates: dict[str, Any] = {"not_before": self._now - DAY, "not_after": self._now + DAY}
        middle = pki.issue("Clients", curve_key(22), issuer=root, ca=True, signs=True, **dates)
        key = self._key(40, "client")

        def pair(issuer: Issued, *after: Issued, **more: Any) -> tuple[bytes, bytes]:
            one = pki.issue("node", key, issuer=issuer, ca=False, usages=(pki.CLIENT_AUTH,), **{**dates, **more})
            return one.pem + b"".join(each.pem for each in after), pki.pkcs8(key)

        pairs = self._pick(
            ("a client", (pair(root),)),
            ("no client", ()),
            ("a client of another CA", (pair(other),)),
            ("a client below an intermediate", (pair(middle, middle),)),
            ("a client without its intermediate", (pair(middle),)),
            ("two clients", (pair(other), pair(root))),
            ("an expired client", (pair(root, not_after=self._now - timedelta(hours=1)),)),
            often=0.4,
        )
        names = self._pick(("", (root.der,)), ("names another CA", (other.der,)), ("names no CA", ()), often=0.7)
        return ask, names, pairs


def cases(count: int, seed: int, now: datetime) -> Iterator[Case]:
    """Yield generated cases: the same for the same seed and time."""
    maker = _Maker(random.Random(seed), now)  # noqa: S311 - cases are to be the same again
    for _ in range(count):
        yield maker.case()


def run(count: int, seed: int, folder: Path) -> Figures:
    """Probe and pull each case."""
    figures, now = Figures(), datetime.now(UTC)
    with Registries() as registries, Loaders(system_roots=False) as loaders:
        for number, case in enumerate(cases(count, seed, now)):
            with registries.showing(case.showing) as port:
                root = folder / str(number)
                verdict = _probe(case, port, root)
                pull = loaders.pull(case.layout, root, f"{case.host}:{port}/x:y", dial=f"127.0.0.1:{port}", timeout=15)
            shutil.rmtree(root)
            _count(figures, case, verdict, pull)
    return figures


def _count(figures: Figures, case: Case, verdict: Verdict, pull: Pull) -> None:
    figures.states[verdict.state] += 1
    figures.reasons[verdict.problem.reason] += 1
    figures.works += pull.ok
    if verdict.state is (State.FAILED if pull.ok else State.VERIFIED):
        figures.wrong.append(f"{case.origin}: {verdict.problem}; the pull: {pull.error or 'works'}")


def _probe(case: Case, port: int, root: Path) -> Verdict:
    registry = f"{case.host}:{port}"
    entry = write(root, case.layout, registry, case.trusted, case.pairs)
    question = Question(registry, str(entry), READERS[case.layout], (), own_network=True)
    return probe(question, datetime.now(UTC), lambda *_: [("127.0.0.1", port)])


def write(
    root: Path, layout: Layout, registry: str, trusted: tuple[Issued, ...], pairs: tuple[tuple[bytes, bytes], ...]
) -> Path:
    """Write a registry's entry as the agent does; return its path."""
    name = entry_name(layout, registry)
    generation = root / STORE / name / "0-0"
    generation.mkdir(parents=True)
    material = Material(
        tuple(each.pem for each in trusted),
        tuple(ClientPair(f"client-{number}", *pair) for number, pair in enumerate(pairs)),
    )
    for file in render(layout, registry, material, "0-0"):
        (generation / file.name).write_bytes(file.data)
        (generation / file.name).chmod(file.mode)
    (root / name).symlink_to(f"{STORE}/{name}/0-0")
    return root / name


def _constraint(domain: str) -> tuple[x509.ExtensionType, bool]:
    return x509.NameConstraints([x509.DNSName(domain)], None), True


def _identifier(key: Any) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False


def _unknown() -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True


def _with_sha1(der: bytes, signer: Any) -> bytes:
    """Return the same certificate signed by RSA with SHA-1."""
    old, new = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    signature = x509.load_der_x509_certificate(der).signature
    body = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    changed = body.replace(old, new)
    return (
        der.replace(body, changed)
        .replace(old, new)
        .replace(
            signature,
            signer.sign(changed, padding.PKCS1v15(), hashes.SHA1()),  # noqa: S303 - what is to be refused
        )
    )


def main(arguments: list[str]) -> None:
    """Print the figures of a run."""
    count, seed = (*map(int, arguments), *(1_000, 1)[len(arguments) :])
    with tempfile.TemporaryDirectory() as folder:
        figures = run(count, seed, Path(folder))
    sys.stdout.write(f"{count} cases, {figures.works} pulls work; {dict(figures.states)}\n{dict(figures.reasons)}\n")
    sys.stdout.writelines(f"WRONG {each}\n" for each in figures.wrong)


if __name__ == "__main__":
    main(sys.argv[1:])
