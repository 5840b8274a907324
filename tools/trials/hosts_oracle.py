"""The oracle of hosts: what containerd of each version tries for a registry, with an entry of ours and without it.

In full: `python -m tools.torture hosts`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.observe import describe
from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.hosts_toml import parse_own
from registry_trust.core.layout import STORE, ClientPair, Layout, Material, render
from registry_trust.core.observed import ObservedRoot, Target
from registry_trust.core.plan import Switch, make_plan
from tools.authority import Authority
from tools.cluster.binaries import binary
from tools.trials.hosts_files import CA_FILES, MIRROR, PAIRS, TRUSTED, draw

Host = dict[str, Any]


@dataclass(frozen=True)
class Certificates:
    """What one side has: a CA, named so, and a pair of it."""

    name: str
    authority: Authority
    pair: ClientPair

    def material(self) -> Material:
        return Material((self.authority.pem,), (self.pair,))

    def leaf(self) -> str:
        return leaf_of(self.pair.certificate)


def leaf_of(pem: bytes) -> str:
    """Return the SHA-256 of a certificate's DER, as the programs say it."""
    return hashlib.sha256(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).hexdigest()


@cache
def certificates(name: str) -> Certificates:
    """Make them once for each name."""
    authority = Authority.create(name)
    pair = authority.client(f"client of {name}")
    return Certificates(name, authority, ClientPair("client", pair.certificate, pair.key))


def lay_default(root: Path, text: str, *, by_name: bool) -> Path:
    """Make a root with another process's `_default`: this `hosts.toml`, and the files that it may name.

    With `by_name` containerd would load those files by their names if there were no `hosts.toml`.
    """
    default = root / "_default"

    def write(name: str, data: bytes) -> None:
        path = default / (name if by_name else name.replace(".crt", ".pem").replace(".cert", ".pem"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    for number, name in enumerate(CA_FILES):
        write(name, certificates(f"theirs {number}").authority.pem)
    for number, (certificate, key) in enumerate(PAIRS):
        pair = certificates(f"theirs {number}").pair
        write(certificate, pair.certificate if key else pair.certificate + pair.key)
        if key:
            write(key, pair.key)
    if not by_name:
        text = text.replace(".crt", ".pem").replace(".cert", ".pem")
    (default / "hosts.toml").write_text(text.replace("HERE", str(default)), newline="")
    return default


def ask(version: str, questions: Sequence[tuple[Path, str]]) -> list[dict[str, Any]]:
    """Ask containerd's own loader of that version which hosts it tries for a registry in a root."""
    done = subprocess.run(
        [binary(f"containerd-{version}"), "hosts"],
        input="".join(f"{root}\t{registry}\n" for root, registry in questions),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": "/nowhere"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def wants(registry: str) -> Desired:
    """Return a node's trusts: the registry's own, and a mirror's."""
    names = {registry: "ours", MIRROR: "of the mirror"}
    return Desired(
        {name: DesiredRegistry(name, ("a",), certificates(of).material()) for name, of in sorted(names.items())}
    )


def write_entry(root: Path, layout: Layout, registry: str) -> bool:
    """Write our entry beside `_default` as the plan has it; say whether it has one."""
    with Directory.open_root(str(root), str(root)) as directory:
        foreign = {"_default": describe(directory, "_default")}
    observed = ObservedRoot(foreign=foreign)
    plan = make_plan(Target(str(root), layout), wants(registry), {str(root): observed})
    for step in plan.steps:
        if not isinstance(step, Switch) or step.desired.registry != registry:
            continue
        name = f"{step.digest}-1"
        generation = root / STORE / step.entry / name
        generation.mkdir(parents=True)
        carrying = step.desired.carrying
        for file in render(layout, registry, step.desired.material, name, carrying):
            (generation / file.name).write_bytes(file.data)
            if file.name == "hosts.toml":
                carried = carrying.carried if carrying is not None else None
                assert parse_own(file.data, private=False) == carried, "what is carried is not what is read back"
        (root / step.entry).symlink_to(f"{STORE}/{step.entry}/{name}")
        return True
    return False


def expected(without: dict[str, Any], registry: str, layout: Layout = Layout.CONTAINERD) -> dict[str, Any]:
    """Return the same list with our certificates at the hosts that they are for."""
    return {**without, "hosts": [_with_ours(host, registry, layout) for host in without["hosts"] or ()]}


def _with_ours(host: Host, registry: str, layout: Layout) -> Host:
    scheme, _, rest = host["url"].partition("://")
    name = rest.split("/")[0].removesuffix(":443")
    own = name in (registry, {"docker.io": "registry-1.docker.io"}.get(registry))
    if scheme != "https" or host["transport"] != "*http.Transport":
        return host
    if not own and (name != MIRROR or layout is not Layout.CONTAINERD):
        return host
    given = certificates("ours" if own else "of the mirror")
    return {
        **host,
        "caSubjects": [f"CN={given.name}", *(host["caSubjects"] or ())],
        "certificates": [given.leaf(), *(host["certificates"] or ())],
    }


def normal(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in which nothing and an empty list are the same."""
    hosts = [{key: value or None for key, value in host.items()} for host in answer["hosts"] or ()]
    return {"error": answer["error"], "hosts": hosts}


@dataclass(frozen=True)
class Difference:
    """A file with which a registry's hosts are not what they would be without us, plus our certificates."""

    version: str
    number: int
    found: dict[str, Any]
    expected: dict[str, Any]


def differences(
    folder: Path,
    versions: Sequence[str],
    numbers: Sequence[int],
    registry: str = TRUSTED,
    layout: Layout = Layout.CONTAINERD,
) -> tuple[list[Difference], Counter[str]]:
    """Compare each version of containerd with itself, without our entry and with it, on the files of these numbers."""
    roots = {number: folder / f"{number}" for number in numbers}
    counts: Counter[str] = Counter()
    for number, root in roots.items():
        lay_default(root, draw(number), by_name=number % 2 == 0)
    questions = [(root, registry) for root in roots.values()]
    before = {version: ask(version, questions) for version in versions}
    written = {number for number, root in roots.items() if write_entry(root, layout, registry)}
    counts["written"], counts["files"] = len(written), len(roots)
    found: list[Difference] = []
    for version in versions:
        after = ask(version, questions)
        for number, one, other in zip(roots, before[version], after, strict=True):
            if number not in written:
                continue
            wanted, had = normal(expected(one, registry, layout)), normal(other)
            counts["hosts"] += len(had["hosts"])
            if wanted != had:
                found.append(Difference(version, number, had, wanted))
    for root in roots.values():
        shutil.rmtree(root)
    return found, counts
