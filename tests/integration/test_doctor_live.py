"""The doctor and what answers it: a registry that refuses, an API server with another clock, a thousand registries."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from registry_trust.core.bundle import Bundle
from registry_trust.core.bundle_format import encode
from registry_trust.doctor.diagnosis import Outlook, diagnose
from registry_trust.doctor.evidence import PullError
from registry_trust.doctor.examination import Examination
from registry_trust.doctor.showing import text
from tests.integration.asking import own_address
from tests.integration.counting import counting
from tests.integration.doctored_node import AUTHORITY, OTHER, HostTree
from tools.authority import Authority, Pair
from tools.cluster.control_plane import ControlPlane
from tools.cluster.showing import Ask, Registries, Showing
from tools.installation import NAMESPACE, Installation
from tools.pki import DER

pytestmark = pytest.mark.tools("showing", "control-plane")

PAGE = (Path(__file__).resolve().parents[2] / "docs/why-is-my-pull-failing.md").read_text()
HOST = "harbor.test"
PUBLIC = Authority.create("a public CA")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def registries() -> Iterator[Registries]:
    with Registries() as started:
        yield started


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    """A node that sees the system's roots, and finds the registry in its own table of hosts."""
    made = HostTree(tmp_path, asks=True)
    made.write("/etc/ssl/certs/ca-certificates.crt", PUBLIC.pem)
    return made


@dataclass(frozen=True)
class Refusal:
    """A registry that a pull fails with, and what the doctor is to say of it."""

    shown: Pair
    error: PullError | None
    words: str
    taken: tuple[Authority, ...] = (AUTHORITY,)
    """Whose client certificates it accepts."""


REFUSALS = {
    "nothing": Refusal(AUTHORITY.server([HOST]), None, "do this     nothing"),
    "an expired certificate": Refusal(
        AUTHORITY.server([HOST], now=datetime.now(UTC) - 30 * DAY, lasts=20 * DAY), PullError.DATES, "has expired"
    ),
    "another authority": Refusal(OTHER.server([HOST]), PullError.UNKNOWN_AUTHORITY, "CN=another CA"),
    "another name": Refusal(AUTHORITY.server(["other.test"]), PullError.OTHER_NAME, "other.test"),
    "the client certificate": Refusal(
        AUTHORITY.server([HOST]), PullError.CERTIFICATE_REQUIRED, "client certificate", (OTHER,)
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_what_a_live_registry_refuses_is_named_with_the_words_of_the_page(
    registries: Registries, tree: HostTree, refusal: Refusal
) -> None:
    address = own_address()
    tree.write("/etc/hosts", f"{address} {HOST}\n")
    (leaf,) = x509.load_pem_x509_certificates(refusal.shown.certificate)
    key = serialization.load_pem_private_key(refusal.shown.key, None)
    form, open_key = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    taken = tuple(each.certificate.public_bytes(DER) for each in refusal.taken)
    showing = Showing((leaf.public_bytes(DER),), key.private_bytes(DER, form, open_key), Ask.VERIFY, taken)

    with registries.showing(showing) as port, counting(port, address) as front:
        tree.registry = f"{HOST}:{front.port}"
        tree.bring(tree.bundle())
        found = tree.doctor()
        printed = text(found, tree.registry)

    (registry,) = found.registries
    assert registry.error() is refusal.error, printed
    assert refusal.words in printed, printed
    if refusal.error is None:
        assert found.outlook is Outlook.GOOD, printed
        return
    assert found.outlook is Outlook.FAILS
    assert refusal.error in printed, printed
    assert f"\n## {refusal.error}\n" in PAGE


@pytest.mark.parametrize(("ahead", "said"), [(0.0, "as the"), (150.0, "s ahead of the"), (-150.0, "s behind the")])
def test_the_clock_of_the_api_server_is_compared_with_the_nodes(
    plane: ControlPlane, tree: HostTree, ahead: float, said: str
) -> None:
    installed = Installation(plane)
    installed.install()
    installed.add_node("clock")
    account = plane.service_account_folder(NAMESPACE, "registry-trust-agent", node="clock")
    tree.bring(tree.bundle())
    where = (f"--api-server={plane.url}", f"--ca-file={account}/ca.crt", f"--token-file={account}/token")

    found = diagnose(
        Examination(
            tree.options("--node-name=clock", "--no-probe", *where), clock=lambda: time.time() + ahead
        ).evidence()
    )

    printed = text(found, "")
    assert f"{said} API server's\n" in printed, printed
    assert ("Set the node's clock" in printed) is bool(ahead), printed


def many(tree: HostTree, names: Sequence[str]) -> Bundle:
    """Write a bundle of trusts with fifty registries each."""
    one = tree.bundle()
    (trust,) = one.trusts
    assert trust.content is not None
    trusts = tuple(
        replace(trust, name=f"t-{n}", uid=f"u-{n}", content=replace(trust.content, registries=tuple(names[n : n + 50])))
        for n in range(0, len(names), 50)
    )
    made = replace(one, trusts=trusts)
    tree.write("/bundle/index.json", encode(made)["index.json"])
    return made


MOST_MEMORY = 80 << 10
"""KiB resident of the whole command with a thousand registries, each with a CA and a pair (measured: 33 and 47 MiB)."""

MEASURED = """
import re, sys
from registry_trust.doctor.command import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
sys.exit(code)
"""
"""The command, and then its own peak: what wait4 says of a child is at least what its parent had when it forked."""


@pytest.fixture
def in_memory() -> Iterator[HostTree]:
    """A node in memory: a thousand entries are made durable in seconds there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield HostTree(Path(directory))


def test_a_thousand_registries_are_explained_in_bounded_memory(in_memory: HostTree) -> None:
    names = [f"registry-{number}.corp.example:5000" for number in range(1000)]
    in_memory.bring(many(in_memory, names))
    given = (f"--node-root={in_memory.path}", f"--runtime={in_memory.runtime}", f"--bundle={in_memory.path}/bundle")
    for output in ("text", "json"):
        command = [sys.executable, "-P", "-c", MEASURED, *given, "-o", output]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

        assert done.returncode == 0, done.stderr
        assert [name for name in names if name not in done.stdout] == []
        assert int(done.stderr) < MOST_MEMORY, f"{output}: {done.stderr} KiB"
