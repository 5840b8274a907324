"""Mirrors: what an agent says of a `_default` of others, taken along or not, by what the file says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from registry_trust.agent.store.default import Defaults, unreadable
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.observe import describe
from registry_trust.core.observed import ForeignEntry, ObservedRoot
from registry_trust.core.problem import Problem
from tools.messages.nodes import ENTRY, OURS, ROOT, rows

SPEGEL = "[host.'http://10.0.0.7:30020']\n[host.'http://10.0.0.7:30021']\n"
TAKEN = (
    SPEGEL,
    "server = 'https://all.example'\n[host.'https://mirror.example']\nskip_verify = true\n",
    "ca = 'ca.pem'\n",
    "skip_verify = true\n",
)
NOT_TAKEN = (
    "[host.'https://mirror.example']\nrewrite = {}\n",
    "rewrite = {}\n",
    "[host.'https://mirror.example?token=x']\n",
    "server = 1\n",
    "[host.a]\ndial_timeout = '5'\n",
    "[host.a]\n[host.b]\n[host.a.header]\nx = 'y'\n",
    "[host.a.header]\nx = '''y'''\n",
    "[host]\na = 1\n",
    "".join(f"[host.h{number}]\n" for number in range(65)),
    "[host.a]\n[host b]\n",
    "[host.a]\ncapabilities = ['referrers']\n",
    "[host.'https://[2001:db8::1]']\n",
    "skip_verify = false\n",
)
"""With `ca.crt` beside them: containerd of some versions reads that instead of the last three."""


def said() -> Iterator[Problem]:
    """Yield what is said of each kind of `_default`."""
    for text in TAKEN:
        yield from _of(_default(text))
    yield from _of(_default("", "ca.crt"))
    for text in NOT_TAKEN:
        yield from _of(_default(text, "ca.crt"))
    for kind in ("link", "hosts link", "name", "crowded"):
        yield from _of(_default("", kind=kind))
    yield from _of(ForeignEntry("a directory that can't be listed", offer=unreadable("EACCES")))
    torn = ObservedRoot(foreign={"_default": _default("[host.a]\n[host b]\n")})
    yield from (row.problem for row in rows(Defaults().settle(ROOT, torn, 0.0)) if row.problem is not None)
    for before in ("", SPEGEL):
        yield from (row.problem for row in rows(_broken_after(before)) if row.problem is not None)


def _broken_after(text: str) -> ObservedRoot:
    """Return a root with an entry of ours whose `_default` said this, and is broken now."""
    defaults, now = Defaults(), 0.0
    for default in (_default(text), _default("[host b]\n")):
        for _ in range(2):
            settled = defaults.settle(ROOT, ObservedRoot({ENTRY: OURS}, {"_default": default}), now)
            now += 1.0
    return settled


def _of(default: ForeignEntry) -> Iterator[Problem]:
    yield from (row.problem for row in rows(ObservedRoot(foreign={"_default": default})) if row.problem is not None)


def _default(text: str, *files: str, kind: str = "") -> ForeignEntry:
    """Return what is seen of a `_default` with this `hosts.toml`."""
    with tempfile.TemporaryDirectory() as folder:
        default = Path(folder, "_default")
        if kind == "link":
            default.symlink_to("/elsewhere")
        else:
            default.mkdir()
            for name in (*files, *(["\n.crt"] if kind == "name" else [])):
                (default / name).write_bytes(b"")
            for number in range(1000 if kind == "crowded" else 0):
                (default / f"{number}.crt").touch()
            if kind == "hosts link":
                (default / "hosts.toml").symlink_to("/elsewhere")
            elif text:
                (default / "hosts.toml").write_text(text)
        with Directory.open_root(folder, ROOT) as root:
            return describe(root, "_default")
