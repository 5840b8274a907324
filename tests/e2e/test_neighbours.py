"""Neighbours: what others wrote is neither touched nor hidden, and status says where it is in the way."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from tests.e2e.three_nodes import ELSEWHERE, LITERAL, SINGLE, STOCK, ThreeNodes
from tools.authority import Authority
from tools.cluster.waiting import wait_until


def fingerprint(folder: Path) -> list[tuple[str, int, int, int, str]]:
    """Return name, mode, owner, mtime and content of everything below a folder."""
    return [
        (str(path.relative_to(folder)), stat.st_mode, stat.st_uid, stat.st_mtime_ns, _content(path))
        for path in sorted(folder.rglob("*"))
        for stat in [path.lstat()]
    ]


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def test_three_kinds_of_neighbours_are_left_alone_and_reported_with_their_paths(clean: ThreeNodes) -> None:
    host, port = clean.registry.name.split(":")
    pem = Authority.create("somebody else's CA").pem
    default = clean.node(SINGLE).path("/etc/containerd/certs.d") / "_default"
    hosts_toml = clean.node(STOCK).path(LITERAL) / f"{host}_{port}_"
    docker = clean.node(ELSEWHERE).path("/etc/docker/certs.d") / clean.registry.name
    for folder in (default, hosts_toml, docker):
        folder.mkdir(parents=True)
    (default / "hosts.toml").write_text('[host."https://mirror.example.test"]\nrewrite = { "^a" = "b" }\n')
    (hosts_toml / "hosts.toml").write_text('server = "https://elsewhere.example.test"\n\n[host]\n')
    (docker / "ca.crt").write_bytes(pem)
    before = [fingerprint(folder) for folder in (default, hosts_toml, docker)]
    try:
        clean.sources()
        clean.trust()
        clean.wait_for("harbor", "Ready", "False", reason="NodesFailing")

        def rows() -> dict[str, tuple[str, str]]:
            found = {}
            for node in (SINGLE, STOCK, ELSEWHERE):
                for row in clean.report(node).get("registries", []):
                    if row["name"] == clean.registry.name and row["state"] == "Failed":
                        found[node] = (row["reason"], row["message"])
            return found

        found = wait_until(lambda: r if len(r := rows()) == 3 else None, "three nodes report a conflict", within=30)
        assert found[SINGLE][0] == "WouldShadow"
        assert "/etc/containerd/certs.d/_default, which the runtime reads now and which can't" in found[SINGLE][1]
        assert found[STOCK][0] == "ForeignFile"
        assert f"{LITERAL}/{host}_{port}_" in found[STOCK][1]
        assert found[ELSEWHERE][0] == "ForeignFile"
        assert f"/etc/docker/certs.d/{clean.registry.name}" in found[ELSEWHERE][1]
        assert [fingerprint(folder) for folder in (default, hosts_toml, docker)] == before
        wait_until(
            lambda: clean.kubectl.get("registrytrust", "harbor")["status"]["nodes"].get("failed") == 3,
            "the trust's status counts three failing nodes",
            within=60,
        )
    finally:
        (default / "hosts.toml").unlink()
        (hosts_toml / "hosts.toml").unlink()
        (docker / "ca.crt").unlink()
        for folder in (default, hosts_toml, docker):
            folder.rmdir()

    # What was in the way is gone: the files are written at once.
    wait_until(lambda: clean.pull(SINGLE) == "", "the first node pulls", within=60)


def test_with_replace_neighbours_give_way_runtimes_pull_and_everything_comes_back(clean: ThreeNodes) -> None:
    host, port = clean.registry.name.split(":")
    wrong = Authority.create("a CA that signed nothing here").pem
    theirs = {
        SINGLE: clean.node(SINGLE).path("/etc/containerd/certs.d") / f"{host}_{port}_",
        STOCK: clean.node(STOCK).path(LITERAL) / f"{host}_{port}_",
        ELSEWHERE: clean.node(ELSEWHERE).path("/etc/docker/certs.d") / clean.registry.name,
    }
    for folder in theirs.values():
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(wrong)
    os.chown(theirs[STOCK], 1000, 1000)  # The agent has no capability, and needs none for that.
    theirs[STOCK].chmod(0o555)
    before = {node: fingerprint(folder.parent) for node, folder in theirs.items()}
    clean.sources()
    try:
        assert "x509" in clean.pull(SINGLE)
        clean.trust()
        clean.wait_for("harbor", "Ready", "False", reason="NodesFailing")
        wait_until(
            lambda: [row.get("reason") for row in clean.report(SINGLE).get("registries", [])] == ["ForeignFile"],
            "the first node reports the file",
            within=30,
        )

        clean.trust(existingFilesPolicy="Replace")

        def said() -> dict[str, str]:
            rows = [(node, row) for node in theirs for row in clean.report(node).get("registries", [])]
            return {node: row["message"] for node, row in rows if row.get("reason") == "ExistingFilesReplaced"}

        found = wait_until(lambda: r if len(r := said()) == len(theirs) else None, "three nodes replaced", within=60)
        for node, folder in theirs.items():
            assert f".registry-trust-replaced.{folder.name}, and will be put back" in found[node]
        image = clean.image()
        assert clean.pull(SINGLE, image) == "", clean.situation()
        assert clean.pull(STOCK, image) == "", clean.situation()
        assert clean.node(ELSEWHERE).docker_pull(image) == ""

        clean.remove_trusts()

        assert "x509" in clean.pull(SINGLE)
        after = {node: fingerprint(folder.parent) for node, folder in theirs.items()}
        for node, rows in before.items():
            assert [row for row in after[node] if not row[0].startswith(".registry-trust")] == [
                row for row in rows if not row[0].startswith(".registry-trust")
            ]
            assert not [row for row in after[node] if row[0].startswith(".registry-trust-replaced")]
    finally:
        for folder in theirs.values():
            shutil.rmtree(folder, ignore_errors=True)
