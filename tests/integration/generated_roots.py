"""Generated `certs.d` directories: what people and programs put there, whole and damaged, drawn from a seed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from registry_trust.core.layout import Layout
from tests.integration.commands import EVER
from tools.pki import curve_key, issue, pkcs8

REGISTRIES = (
    "harbor.corp.example:5000",
    "harbor.corp.example",
    "Upper.example:443",
    "a.example-5000",
    "a.example:5000",
    "10.1.2.3:5000",
    "[2001:db8::1]:5000",
    "[2001:db8::1]",
    "docker.io",
)

AUTHORITIES = [issue(f"CA {n}", curve_key(n), ca=True, signs=True, **EVER) for n in range(1, 7)]
CLIENTS = [
    issue(f"client {n}", curve_key(100 + n), issuer=AUTHORITIES[n], ca=False, **EVER) for n in range(len(AUTHORITIES))
]


def make(root: Path, layout: Layout, chance: random.Random) -> None:
    """Fill an empty directory."""
    for registry in chance.sample(REGISTRIES, chance.randint(1, 4)):
        names = [registry]
        if layout is Layout.CONTAINERD and ":" in registry[1:]:
            head, _, tail = registry.rpartition(":")
            names = chance.choice([[registry], [f"{head}_{tail}_"], [f"{head}_{tail}_"], [registry, f"{head}_{tail}_"]])
        for name in names:
            directory = root / name
            directory.mkdir()
            _files(directory, chance)
            if layout is Layout.CONTAINERD and chance.random() < 0.5:
                (directory / "hosts.toml").write_text(hosts_toml(registry, directory, chance))
    if chance.random() < 0.2:
        chance.choice([_store, _backup, _loose, _stray])(root, chance)
    if layout is Layout.CONTAINERD and chance.random() < 0.05:
        (root / "_default").mkdir()
        (root / "_default" / "ca.crt").write_bytes(AUTHORITIES[0].pem)


def _files(directory: Path, chance: random.Random) -> None:
    for number in range(chance.choice((0, 1, 1, 1, 2))):
        taken = chance.sample(AUTHORITIES, chance.choice((1, 1, 2)))
        text = b"".join(b"# " + str(n).encode() + b"\n" + each.pem for n, each in enumerate(taken))
        path = directory / ("ca.crt" if not number else f"more-{number}.crt")
        damaged = chance.random() < 0.06
        path.write_bytes(chance.choice(DAMAGES)(text, chance) if damaged else chance.choice((_same, _crlf))(text))
    for number in range(chance.choice((0, 0, 0, 1, 1, 2))):
        _pair(directory, chance.choice(("client", "node", "Ünïcode", "a.b")) + str(number), chance)
    if chance.random() < 0.1:
        chance.choice((_readme, _link, _dangling, _fifo, _directory, _lone_key, _almost))(directory, chance)


def pair(number: int) -> tuple[bytes, bytes]:
    """Return a client's certificate and key."""
    return CLIENTS[number].pem, pkcs8(CLIENTS[number].key)


def _pair(directory: Path, name: str, chance: random.Random) -> None:
    number = chance.randrange(len(CLIENTS))
    certificate, key = pair(number)
    if chance.random() < 0.06:
        certificate, key = chance.choice(
            [(certificate, pair((number + 1) % 6)[1]), (key, certificate), (certificate, b"")]
        )
    if chance.random() < 0.1:
        (directory / f"{name}.cert").write_bytes(certificate + key)  # containerd alone reads it
        return
    (directory / f"{name}.cert").write_bytes(certificate)
    (directory / f"{name}.key").write_bytes(key)


def hosts_toml(registry: str, directory: Path, chance: random.Random) -> str:
    """Return a file as people write it: for the registry itself, for mirrors, and now and then wrong."""
    server = "registry-1.docker.io" if registry == "docker.io" else registry
    files = directory / "tls"
    files.mkdir(exist_ok=True)
    (files / "ca.pem").write_bytes(b"".join(each.pem for each in chance.sample(AUTHORITIES, 2)))
    certificate, key = pair(chance.randrange(len(CLIENTS)))
    (files / "both.pem").write_bytes(certificate + key)
    (files / "tls.crt").write_bytes(certificate)
    (files / "tls.key").write_bytes(key)
    ca = chance.choice(['ca = "tls/ca.pem"', f'ca = ["{files}/ca.pem"]', 'ca = ["tls/ca.pem", "tls/ca.pem"]', ""])
    client = chance.choice(
        ['client = "tls/both.pem"', 'client = [["tls/tls.crt", "tls/tls.key"]]', 'client = ["tls/both.pem"]', "", ""]
    )
    own = f"{ca}\n{client}\n"
    mirror = '[host."https://mirror.example:5000"]\ncapabilities = ["pull", "resolve"]\n'
    wrong = chance.choice(
        ["ca = 5\n", "[host\n", 'client = ["tls/tls.crt", "tls/tls.key"]\n', 'ca = "no/such"\n', "\0"]
    )
    return chance.choice(
        [
            f'server = "https://{server}"\n{own}\n[host]\n',
            f'server = "https://{server}"\n\n[host."https://{server}"]\n{own}',
            f"{own}\n{mirror}",
            f'server = "https://{server}"\n{own}\n{mirror}',
            own,
            wrong if chance.random() < 0.3 else own,
            f"skip_verify = true\n{own}" if chance.random() < 0.3 else own,
            "",
        ]
    )


def _same(text: bytes) -> bytes:
    return text


def _crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda text, chance: text[: chance.randrange(len(text))],
    lambda text, _: b"",
    lambda text, _: text.replace(b"-----END", b"----END"),
    lambda text, chance: chance.randbytes(200),
    lambda text, _: text + pkcs8(curve_key(1)),
    lambda text, _: text.decode().encode("utf-16"),
)


def _readme(directory: Path, _: random.Random) -> None:
    (directory / "README").write_text("as documented")


def _link(directory: Path, chance: random.Random) -> None:
    (directory / "elsewhere").write_bytes(chance.choice(AUTHORITIES).pem)
    (directory / "linked.crt").symlink_to("elsewhere")


def _dangling(directory: Path, _: random.Random) -> None:
    (directory / "gone.crt").symlink_to("/no/such/file")


def _fifo(directory: Path, _: random.Random) -> None:
    os.mkfifo(directory / "pipe")


def _directory(directory: Path, _: random.Random) -> None:
    (directory / "old").mkdir()
    (directory / "old" / "ca.crt").write_bytes(AUTHORITIES[0].pem)


def _lone_key(directory: Path, _: random.Random) -> None:
    (directory / "lone.key").write_bytes(pair(0)[1])


def _almost(directory: Path, _: random.Random) -> None:
    (directory / "corp.pem").write_bytes(AUTHORITIES[0].pem)


def _store(root: Path, _: random.Random) -> None:
    generation = root / ".registry-trust" / "ours.example" / "0123456789abcdef-1"
    generation.mkdir(parents=True)
    (generation / "ca.crt").write_bytes(AUTHORITIES[0].pem)
    (root / "ours.example").symlink_to(".registry-trust/ours.example/0123456789abcdef-1")


def _backup(root: Path, _: random.Random) -> None:
    (root / "_backup").mkdir()
    (root / "lost+found").mkdir()


def _loose(root: Path, _: random.Random) -> None:
    (root / "notes.txt").write_text("nothing")


def _stray(root: Path, _: random.Random) -> None:
    (root / "not a registry").mkdir()
    (root / "not a registry" / "ca.crt").write_bytes(AUTHORITIES[0].pem)
