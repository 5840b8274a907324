"""The differential run: mutated certificates, keys and bundles through our validator, two versions of Go, and loaders.

Command line: `python -m tests.integration.differential [CASES [SEED]]` prints the figures.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_trust.certificates.authorities import CheckedRoots, read_ca_certificates
from registry_trust.certificates.pairs import CheckedPair, read_client_pair
from registry_trust.core import layout
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.layout import Material
from tests.integration import mutations, specimens
from tools import der, pki
from tools.cluster.judge import JUDGES, Question, Verdict, judge
from tools.cluster.loaders import GENERATIONS, Loaders

SHOWN = 5
"""Examples that figures keep of each kind."""


@dataclass(frozen=True)
class Case:
    """One input: CA certificates, or a pair; with the key that its certificate was made for, to issue from it."""

    origin: str
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    signer: Any = None

    @property
    def is_pair(self) -> bool:
        """Whether this is a pair; what is left of CA certificates may be nothing at all."""
        return bool(self.certificate or self.key)


@dataclass(frozen=True)
class Judged:
    """A case with what our validator made of it, and the questions for Go: about what we wrote, and about the input."""

    case: Case
    accepted: CheckedRoots | CheckedPair | None
    refusal: str
    written: Question
    given: Question


@dataclass
class Figures:
    """What came of a run."""

    cases: int = 0
    accepted: int = 0
    loaded: int = 0
    """Readings of accepted ones by a real loader that found all that was written."""
    vouched: int = 0
    """Accepted CA certificates for which Go verified a server certificate that they issued."""
    rejected_by_go: list[str] = field(default_factory=list)
    """We accepted and wrote it, and a Go version refused or dropped some of it: must stay empty."""
    dropped_by_go: int = 0
    """We refused a bundle of which Go takes a part, and drops the rest without a word."""
    stricter: Counter[str] = field(default_factory=Counter)
    """We refused what Go takes as a whole: how often, by our refusal with its particulars left out."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first case of each of these."""


def cases(count: int, seed: int) -> Iterator[Case]:
    """Yield `count` cases, of which each stands by itself: the same for the same seed."""
    authorities = list(specimens.authorities())
    public = specimens.public_roots()
    pairs = specimens.pairs()
    for one in authorities:
        yield Case(one.name, ca=der.armour(one.der), signer=one.key)
    for name, chain, key in pairs:
        yield Case(name, certificate=chain, key=key)
    if public:
        yield Case("all public roots", ca=b"".join(public))
    for number in range(count - len(authorities) - len(pairs) - bool(public)):
        chance = random.Random(f"{seed} {number}")  # noqa: S311 - a seeded test, no secret
        yield chance.choices((_structure, _text, _public, _pair), (9, 4, 2, 5))[0](chance, authorities, public, pairs)


def _structure(chance: random.Random, authorities: list[specimens.Specimen], *_: object) -> Case:
    one = chance.choice(authorities)
    change = chance.choice((mutations.of_structure, mutations.of_structure, mutations.of_bytes))
    beside = pki.root(3).pem * (chance.random() < 0.3)
    return Case(one.name, ca=beside + der.armour(change(one.der, chance)), signer=one.key)


def _text(chance: random.Random, authorities: list[specimens.Specimen], *_: object) -> Case:
    taken = chance.choices(authorities[:20], k=chance.choice((1, 1, 2, 3)))
    text = b"".join(der.armour(one.der) for one in taken)
    return Case("text of " + ", ".join(one.name for one in taken), ca=mutations.of_text(text, chance))


def _public(
    chance: random.Random, authorities: list[specimens.Specimen], public: list[bytes], pairs: tuple[Any, ...]
) -> Case:
    if not public:
        return _text(chance, authorities, public, pairs)
    text = b"".join(chance.choices(public, k=chance.choice((1, 2, 5))))
    return Case("public roots", ca=mutations.of_text(text, chance))


def _pair(chance: random.Random, _: object, __: object, pairs: tuple[tuple[str, bytes, bytes], ...]) -> Case:
    name, chain, key = chance.choice(pairs)
    what = chance.randrange(4)
    if what == 0:
        return Case(f"{name}, key's text", certificate=chain, key=mutations.of_text(key, chance))
    if what == 1:
        return Case(f"{name}, chain's text", certificate=mutations.of_text(chain, chance), key=key)
    if what == 2:
        return Case(f"{name}, key's DER", certificate=chain, key=_inside(key, chance))
    return Case(f"{name}, leaf's DER", certificate=_inside(chain, chance), key=key)


def _inside(text: bytes, chance: random.Random) -> bytes:
    """Change the DER of the first block; what follows stays."""
    label = re.search(rb"-----BEGIN ([^-]+)-----\n", text)
    if label is None:
        return text
    head, body, rest = re.split(rb"-----(?:BEGIN|END) " + label[1] + rb"-----\n", text, maxsplit=2)
    content = mutations.base64.b64decode(body)
    change = chance.choice((mutations.of_structure, mutations.of_bytes))
    return head + der.armour(change(content, chance), label[1].decode()) + rest


def examine(case: Case) -> Judged:
    """Put a case to our validator."""
    try:
        if not case.is_pair:
            return _examine_authorities(case)
        pair = read_client_pair(
            case.certificate, case.key, field="f", certificate_place="c", key_place="k", now=pki.NOW
        )
    except UnusableMaterial as error:
        given = Question(ca=case.ca, certificate=case.certificate, key=case.key)
        kind = "Pair: " * case.is_pair + kind_of(str(error))
        return Judged(case, None, kind, Question(), given)
    written = Question(certificate=pair.certificate, key=pair.key.reveal())
    return Judged(case, pair, "", written, Question(certificate=case.certificate, key=case.key))


def _examine_authorities(case: Case) -> Judged:
    found = read_ca_certificates(case.ca, field="f", place="c", now=pki.NOW, registries=(specimens.REGISTRY,))
    leaf = b""
    if case.signer is not None and not found.warnings and len(found.pems) == 1:
        parsed = specimens.x509.load_pem_x509_certificate(found.pems[0])
        if parsed.public_key() == case.signer.public_key():
            leaf = specimens.leaf_of(parsed.subject.public_bytes(), case.signer)
            leaf = leaf if parsed.subject.public_bytes() in parsed.tbs_certificate_bytes else b""
    written = Question(ca=b"".join(found.pems), leaf=leaf, host=specimens.HOST if leaf else "", at=pki.NOW)
    return Judged(case, found, "", written, Question(ca=case.ca))


def kind_of(message: str) -> str:
    """Return a refusal without its places, names and numbers, so that one kind is one text."""
    text = re.sub(r"^(\w+): f: [ck]: ", r"\1: ", message)
    text = re.sub(r"(?:certificate|block) \d+ of \d+, (?:to )?line \d+(?:, (?:in|to) line \d+)?: |line \d+: ", "", text)
    text = re.sub(r'"[^"]*"', '"…"', text)
    text = re.sub(r"(?<![\w#])[\d][\d.,]*(?!\w)|0x[0-9A-F]{2}|\b[0-9a-f]{64}\b", "#", text)
    return re.split(r"; ", text, maxsplit=1)[0]


def run(count: int, seed: int = 1, *, folder: Path | None = None, every: int = 1) -> Figures:
    """Put `count` cases to our validator and to every judge, and what was accepted to the runtimes' loaders.

    Args:
        count: how many cases.
        seed: which.
        folder: an empty folder for the loaders to read in; without it they are not asked.
        every: only each n-th accepted one is put to the loaders.
    """
    judged = [examine(case) for case in cases(count, seed)]
    figures = Figures(cases=len(judged), accepted=sum(one.accepted is not None for one in judged))
    figures.vouched = sum(bool(one.written.leaf) for one in judged)
    for tool in JUDGES:
        written = judge(tool, (one.written for one in judged))
        for one, about_written, about_given in zip(
            judged, written, judge(tool, (one.given for one in judged)), strict=True
        ):
            if one.accepted is not None:
                figures.rejected_by_go += _rejections(one, about_written)
            elif 0 < about_given.roots < one.case.ca.count(b"BEGIN"):
                figures.dropped_by_go += 1
            elif _taken(one, about_given):
                figures.stricter[one.refusal] += 1
                figures.examples.setdefault(one.refusal, f"{one.case.origin} ({about_given.version})")
    if folder is not None:
        accepted = [one for one in judged if one.accepted is not None]
        for problem in _read_back(accepted[::every], folder):
            figures.loaded += not problem
            figures.rejected_by_go += [problem] * bool(problem)
    return figures


def _read_back(judged: list[Judged], folder: Path) -> Iterator[str]:
    """Yield for each loader what is wrong with what it makes of the files that we would write; empty if nothing."""
    directory = folder / specimens.REGISTRY
    with ExitStack() as stack:
        programs = {name: stack.enter_context(Loaders(program=name, system_roots=False)) for name in GENERATIONS}
        for one in judged:
            material = Material(ca_certificates=one.accepted.pems) if isinstance(one.accepted, CheckedRoots) else None
            pair = (layout.ClientPair("client", one.written.certificate, one.written.key),)
            files = layout.render(layout.Layout.DOCKER, specimens.REGISTRY, material or Material((), pair), "")
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for file in files:
                (directory / file.name).write_bytes(file.data)
            for program, layouts in GENERATIONS.items():
                for reader in layouts:
                    found = programs[program].read(reader, folder, specimens.REGISTRY)
                    expected = (len(material.ca_certificates), 0) if material else (0, 1)
                    right = found.ok and (len(found.ca_subjects), len(found.certificates)) == expected
                    yield "" if right else f"{program} {reader}: {one.case.origin}: {found}"


def _taken(one: Judged, verdict: Verdict) -> bool:
    return not verdict.pair if one.case.is_pair else verdict.roots > 0


def _rejections(one: Judged, verdict: Verdict) -> list[str]:
    if isinstance(one.accepted, CheckedRoots):
        wanted = len(one.accepted.pems)
        right = verdict.blocks == verdict.roots == wanted and not verdict.verify
        said = f"{verdict.roots} of {wanted} certificates, {verdict.verify or 'verified'}"
    else:
        wanted = one.written.certificate.count(b"-----BEGIN ")
        right = not verdict.pair and verdict.chain == wanted
        said = verdict.pair or f"{verdict.chain} of {wanted} certificates"
    return [] if right else [f"{verdict.version}: {one.case.origin}: {said}"]


def main(arguments: list[str]) -> int:
    """Print the figures of a run."""
    count, seed = (*(int(text) for text in arguments), *(20_000, 1)[len(arguments) :])
    with tempfile.TemporaryDirectory() as folder:
        figures = run(count, seed, folder=Path(folder))
    sys.stdout.write(f"cases {figures.cases}, accepted {figures.accepted}, leaf verified for {figures.vouched}\n")
    sys.stdout.write(f"read back whole by a loader: {figures.loaded}\n")
    sys.stdout.write(f"accepted by us and refused or dropped by Go: {len(figures.rejected_by_go)}\n")
    sys.stdout.writelines(f"  {line}\n" for line in figures.rejected_by_go[:40])
    sys.stdout.write(f"refused by us, and taken by Go in part: {figures.dropped_by_go}; taken as a whole:\n")
    for kind, number in figures.stricter.most_common():
        sys.stdout.write(f"{number:6} {kind}   e.g. {figures.examples[kind]}\n")
    return bool(figures.rejected_by_go)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
