"""What hostile input costs: each shape is checked once in a fresh process, as the operator would check a source.

The fresh process (`python -m tools.bench.hostile check LENGTH`) takes the input from
its standard input, so that only the check counts; LENGTH is that of the certificate where a key follows it.
"""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from registry_trust.certificates.authorities import read_ca_certificates
from registry_trust.certificates.pairs import read_client_pair
from registry_trust.core.errors import UnusableMaterial
from tools import der, pki
from tools.bench.figures import Part
from tools.der import armour, distinguished, extension, handmade, sequence, tlv
from tools.pki import issue

MEBIBYTE = 1 << 20
SOURCE, CERTIFICATE, KEY = 330_000, 27_000, 13_000
"""The operator's limits (`certificates/limits.py`); what stays just below them is read to its end."""

Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class Cost:
    """What one shape cost."""

    milliseconds: float
    """Of the processor."""
    kibibytes: int
    """By which the peak of the process's memory grew beyond the input itself."""
    verdict: str


def _filled(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def _nested(depth: int) -> bytes:
    content = b"\x05\x00"
    for _ in range(depth):
        content = sequence(content)
    return content


def _many_names(count: int) -> bytes:
    names = sequence(*(tlv(0x82, b"registry-%d.corp.example" % number) for number in range(count)))
    return armour(handmade(extensions=(der.IS_CA, extension("2.5.29.17", names))))


def _self_signed_servers(count: int) -> bytes:
    """Each has a warning of its own."""
    keys = (pki.curve_key(number, ec.SECP521R1()) for number in range(count))
    return b"".join(issue(f"s{n}", key, ca=False, names=("a.example",)).pem for n, key in enumerate(keys))


def _unusable() -> bytes:
    """A subject that is three times as long when it is shown."""
    return armour(handmade(serial=b"\xff", subject=distinguished("\u202e".encode() * 60)))


def _constrained(count: int) -> bytes:
    """Name constraints that every registry of the trust must be held against."""
    bases = (tlv(0x30, tlv(0x82, b"a%d.corp.test" % number)) for number in range(count))
    value = sequence(tlv(0xA0, *bases))
    return armour(handmade(extensions=(der.IS_CA, extension("2.5.29.30", value, critical=True))))


def _pair_of(key: bytes) -> Pair:
    return pki.client().pem, key


def _false_rsa(bits: int) -> bytes:
    """Numbers of a key that fit nowhere."""
    chance = random.Random(bits)  # noqa: S311 - nothing is protected
    numbers = [chance.getrandbits(bits // (1 if n < 3 else 2)) | 1 for n in range(8)]
    numbers[1] = 65537
    return armour(sequence(tlv(2, b"\0"), *map(der.integer, numbers)), "RSA PRIVATE KEY")


SHAPES: dict[str, Callable[[], bytes | Pair]] = {
    "1 MiB of BEGIN lines": lambda: _filled(b"-----BEGIN \n", MEBIBYTE),
    "1 MiB of whole BEGIN lines": lambda: _filled(b"-----BEGIN CERTIFICATE-----\n", MEBIBYTE),
    "one line of 1 MiB": lambda: b"A" * MEBIBYTE,
    "100,000 headers": lambda: b"-----BEGIN CERTIFICATE-----\n" + b"a: b\n" * 100_000,
    "a certificate of 30,000 names": lambda: _many_names(30_000),
    "10,000 certificates": lambda: pki.root().pem * 10_000,
    "DER nested 30,000 deep": lambda: armour(handmade(subject=_nested(30_000))),
    "limit: BEGIN lines": lambda: _filled(b"-----BEGIN CERTIFICATE-----\n", 300 * 28),
    "limit: one line": lambda: b"A" * SOURCE,
    "limit: one line of base64 inside a block": lambda: armour(b"").replace(b"\n", b"\n" + b"A" * 329_000 + b"\n", 1),
    "limit: headers of an encrypted key": lambda: (
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n" + b"a: b\n" * 65_000
    ),
    "limit: nearly markers": lambda: _filled(b"-BEGIN A B C D ", SOURCE),
    "limit: a marker and white space": lambda: b"-" + b" " * (SOURCE - 1),
    "limit: carriage returns": lambda: b"-----BEGIN X\r\n" + _filled(b"\r\n", SOURCE - 20),
    "limit: 300 certificates": lambda: b"".join(issue(f"R{n}", pki.curve_key(n), ca=True).pem for n in range(300)),
    "limit: 300 self-signed servers on P-521": lambda: _self_signed_servers(300),
    "limit: 299 certificates that can't be used beside one": lambda: pki.root().pem + _unusable() * 299,
    "limit: lines of an invisible character": lambda: _filled("\u200b\n".encode(), SOURCE),
    "limit: a line of invisible characters and a marker": lambda: (
        "\u200b".encode() * 109_000 + b"-----BEGIN CERTIFICATE-----"
    ),
    "limit: comments": lambda: _filled(b"#\n", SOURCE),
    "limit: a marker of many words": lambda: b"-begin " + _filled(b"a ", SOURCE - 7),
    "limit: base64 in base64 in base64": lambda: base64.b64encode(
        base64.b64encode(base64.b64encode(b"\x30" * 130_000))
    ),
    "limit: 80 RSA keys of 16,384 bits": lambda: _filled(
        armour(handmade(key=der.rsa_spki(16_384, exponent=(1 << 31) - 1))), SOURCE
    ),
    "limit: a certificate of 900 names": lambda: _many_names(900),
    "limit: ten of 900 name constraints": lambda: _filled(_constrained(900), 9 * 37_000),
    "limit: DER nested 6,000 deep": lambda: armour(handmade(subject=_nested(6_000))),
    "limit: nested extension": lambda: armour(handmade(extensions=(der.IS_CA, extension("2.5.29.17", _nested(6_000))))),
    "pair: a key of 1 MiB": lambda: _pair_of(_filled(pki.pkcs8(pki.client().key), MEBIBYTE)),
    "pair: an RSA key of 8,192 bits that fits nowhere": lambda: _pair_of(_false_rsa(8_192)),
    "pair: an RSA key of 16,384 bits": lambda: _pair_of(_false_rsa(16_384)),
    "pair: a chain of 70": lambda: (pki.client().pem + pki.root().pem * 68, pki.pkcs8(pki.client().key)),
}
"""Inputs by name; "limit" ones are as large as is read at all."""


def cost(data: bytes, key: bytes | None) -> Cost:
    """Check one input in this process."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far (proc(5))
    before = _kibibytes("VmRSS")
    began = time.process_time()
    verdict = "accepted"
    try:
        if key is None:
            registries = tuple(f"r{number}.example" for number in range(64))  # as many as one trust may name
            read_ca_certificates(data, field="f", place="p", now=pki.NOW, registries=registries)
        else:
            read_client_pair(data, key, field="f", certificate_place="c", key_place="k", now=pki.NOW)
    except UnusableMaterial as error:
        verdict = error.problem.reason
    taken = time.process_time() - began
    return Cost(taken * 1000, _kibibytes("VmHWM") - before, verdict)


def _kibibytes(line: str) -> int:
    return int(Path("/proc/self/status").read_text().partition(f"{line}:")[2].split()[0])


def cost_of(shape: str) -> Cost:
    """Check one shape in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    made = SHAPES[shape]()
    command = [sys.executable, "-m", "tools.bench.hostile", "check"]
    if not isinstance(made, bytes):
        command.append(str(len(made[0])))
        made = b"".join(made)
    done = subprocess.run(command, env=environment, input=made, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return Cost(**json.loads(done.stdout))


def measure(part: Part) -> None:
    """Measure what every shape costs."""
    for shape in SHAPES:
        found = cost_of(shape)
        remark = f"{found.verdict}; {found.kibibytes / 1024:.1f} MiB"
        part.add(shape, "ms", found.milliseconds, remark=remark)


def main(arguments: list[str]) -> None:
    """Check what comes in."""
    given = sys.stdin.buffer.read()
    length = int(arguments[1]) if arguments[1:] else None
    found = cost(given, None) if length is None else cost(given[:length], given[length:])
    sys.stdout.write(json.dumps(vars(found)))


if __name__ == "__main__":
    main(sys.argv[1:])
