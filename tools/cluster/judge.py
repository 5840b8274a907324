"""Asks Go itself, by two of its versions, what it makes of certificates, keys, pairs and registry names."""

import base64
import itertools
import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tools.cluster.binaries import binary
from tools.cluster.go_toolchain import OLDER_GO

JUDGES = ("judge", f"judge-go{OLDER_GO}")
"""The tools: one built with the machine's Go, one with an old one."""


@dataclass(frozen=True)
class Question:
    """Files as a runtime finds them, or a registry's name; what is empty is not judged."""

    ca: bytes = b""
    """PEM, as in a .crt file."""
    leaf: bytes = b""
    """DER of a certificate that `ca` is to vouch for, at `at`, as `host`."""
    host: str = ""
    at: datetime | None = None
    certificate: bytes = b""
    key: bytes = b""
    registry: str = ""


@dataclass(frozen=True)
class Verdict:
    """What Go said; the texts are its own errors, empty where it accepted."""

    version: str
    blocks: int
    """PEM blocks that encoding/pem sees in `ca`."""
    roots: int
    """Different certificates that x509.AppendCertsFromPEM took from `ca`."""
    verify: str
    pair: str
    chain: int
    """Certificates of the pair."""
    reference: str
    """Of `REGISTRY/x:y`."""
    domain: str
    """The domain of that reference."""
    grammar: bool
    """Whether the whole name is a domain by the reference grammar."""


def judge(tool: str, questions: Iterable[Question]) -> Iterator[Verdict]:
    """The verdict of one judge on each question, in their order."""
    program: Path = binary(tool)
    asked = [_line(number, question) for number, question in zip(itertools.count(1), questions, strict=False)]
    child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    writer = threading.Thread(target=_write, args=(child, asked), daemon=True)
    writer.start()
    number = 0
    for number, line in enumerate(child.stdout, 1):
        answer = json.loads(line)
        assert answer.pop("id") == number
        yield Verdict(answer.pop("go"), **answer)
    writer.join(60)
    child.stdout.close()
    assert child.wait(60) == 0, f"{tool} ended with {child.returncode}"
    assert number == len(asked), f"{tool} answered {number} of {len(asked)} questions"


def _write(child: "subprocess.Popen[str]", lines: list[str]) -> None:
    assert child.stdin is not None
    with child.stdin:
        child.stdin.writelines(lines)


def _line(number: int, question: Question) -> str:
    fields = {
        "id": number,
        "ca": _text(question.ca),
        "leaf": _text(question.leaf),
        "host": question.host,
        "at": int(question.at.timestamp()) if question.at else 0,
        "certificate": _text(question.certificate),
        "key": _text(question.key),
        "registry": question.registry,
    }
    return json.dumps(fields) + "\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
