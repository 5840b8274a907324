"""Registry names of every kind, put to our check and to the distribution project's own reference grammar.

Command line: `python -m tests.integration.registry_grammar [NAMES [SEED]]` prints the figures.
"""

from __future__ import annotations

import random
import re
import string
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from registry_trust.core import registry as registry_names
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import directory_names
from tools.cluster.judge import JUDGES, Question, Verdict, judge

HOSTS = (
    "harbor.corp.example",
    "registry",
    "localhost",
    "10.0.0.1",
    "127.0.0.1",
    "10.0.0.256",
    "010.0.0.1",
    "0x7f.1",
    "1.2.3",
    "[2001:db8::1]",
    "[::1]",
    "[::]",
    "[fe80::1%eth0]",
    "[::ffff:10.0.0.1]",
    "[2001:DB8:0:0::1]",
    "[1:2:3:4:5:6:7:8]",
    "2001:db8::1",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "_default",
    ".registry-trust",
    "xn--regstry-9ya.example",
    "xn--.example",
    "a--b.example",
    "Reg.Example",
    "reg_1.example",
    "-a.example",
    "a-.example",
    "..",
    "a..b",
    "a.b.",
    "*.example",
    "reg\u00edstry.example",
    "r\u0435g.example",
    "a" * 63 + ".example",
    "a" * 64 + ".example",
    ".".join(["abcdefg"] * 31),
    ".".join(["abcdefg"] * 31) + ".abcd",
    ".".join(["abcdefg"] * 32),
)
PORTS = (
    "",
    ":",
    ":5000",
    ":443",
    ":0",
    ":1",
    ":65535",
    ":65536",
    ":05000",
    ":-1",
    ":https",
    ":5000:1",
    ":5_0",
    ":\uff15",
)
ALPHABETS = (
    string.ascii_lowercase + string.digits + ".-",
    string.ascii_letters + string.digits + ".-:[]",
    "0123456789.:",
    "abcdef0123456789:[]",
    string.printable + "\0\u00ed\u202e\u3002",
    "ab./\\%@_~",
)


@dataclass
class Figures:
    """What came of a run."""

    names: int = 0
    taken: list[str] = field(default_factory=list)
    """Names that we accept."""
    not_in_the_grammar: list[str] = field(default_factory=list)
    """Names that we accept, and that no image reference can carry byte for byte: must stay empty."""
    outside: list[str] = field(default_factory=list)
    """Names that we accept, and whose directory is not one name inside the root: must stay empty."""
    stricter: Counter[str] = field(default_factory=Counter)
    """What an image reference can name and we refuse: how often, by our refusal with its particulars left out."""
    examples: dict[str, str] = field(default_factory=dict)


def names(count: int, seed: int) -> Iterator[str]:
    """Yield the names above in every combination, and then `count` more: changed ones and random ones."""
    every = [host + port for host in HOSTS for port in PORTS]
    yield from every
    chance = random.Random(seed)  # noqa: S311 - a seeded test, no secret
    for _ in range(count):
        if chance.random() < 0.4:
            yield _changed(chance.choice(every), chance)
        else:
            letters = chance.choice(ALPHABETS)
            yield "".join(chance.choices(letters, k=chance.choice((1, 2, 3, 5, 8, 13, 30, 260)))) + chance.choice(PORTS)


def _changed(name: str, chance: random.Random) -> str:
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(name) + 1)
        piece = chance.choice((*"0aA.-:[]_/%\0 \n", "..", "/../", "", ""))
        name = name[:at] + piece + name[at + chance.randrange(2) :]
    return name


def run(count: int, seed: int = 1) -> Figures:
    """Put the names to our check and to every judge."""
    asked = list(dict.fromkeys(name for name in names(count, seed) if name))
    figures = Figures(names=len(asked))
    refusals = [_refusal(name) for name in asked]
    figures.taken = [name for name, refusal in zip(asked, refusals, strict=True) if not refusal]
    figures.outside = [name for name in figures.taken if leaves_root(name)]
    for tool in JUDGES:
        verdicts = judge(tool, (Question(registry=name) for name in asked))
        for name, refusal, verdict in zip(asked, refusals, verdicts, strict=True):
            named = _can_be_named(name, verdict)
            if not refusal and not named:
                figures.not_in_the_grammar.append(f"{verdict.version}: {name!r}: {verdict.reference or verdict.domain}")
            if refusal and named:
                figures.stricter[refusal] += 1
                figures.examples.setdefault(refusal, name)
    return figures


def _can_be_named(name: str, verdict: Verdict) -> bool:
    """Say whether `NAME/x:y` is a reference, and its domain is the name byte for byte."""
    return not verdict.reference and verdict.domain == name and verdict.grammar


def _refusal(name: str) -> str:
    try:
        registry_names.check(name)
    except InvalidField as error:
        text = re.sub(r'"(?:[^"\\]|\\.)*"', '"…"', str(error))
        return re.split("; ", re.sub(r"\d+", "#", text), maxsplit=1)[0]
    return ""


def leaves_root(name: str) -> bool:
    """Say whether any directory that a runtime or the store uses for a name is not one plain name in a root."""
    found = directory_names(name)
    root = PurePosixPath("/etc/certs.d")
    return any(
        (root / one).parent != root or one in (".", "..") or "\0" in one or len(one.encode()) > 255 for one in found
    )


def main(arguments: list[str]) -> int:
    """Print the figures of a run."""
    count, seed = (*(int(text) for text in arguments), *(50_000, 1)[len(arguments) :])
    figures = run(count, seed)
    wrong = figures.not_in_the_grammar + figures.outside
    sys.stdout.write(f"names {figures.names}, accepted {len(figures.taken)}, wrongly {len(wrong)}\n")
    sys.stdout.writelines(f"  {line}\n" for line in wrong[:40])
    for kind, number in figures.stricter.most_common():
        sys.stdout.write(f"{number:6} {kind}   e.g. {figures.examples[kind]!r:.80}\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
