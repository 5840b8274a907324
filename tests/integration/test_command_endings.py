"""Every command ends with a documented exit code and a message, whatever it is given; no traceback, no private key."""

from __future__ import annotations

import contextlib
import copy
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from registry_trust.cli.cluster_access import checked
from registry_trust.cli.ending import Exit, Program
from registry_trust.cli.main import main
from tests.integration.commands import A, authority, pair, run, trust
from tools.cluster import canaries
from tools.pki import curve_key, pkcs8

KEY = pkcs8(curve_key(7)).decode()
JUNK: list[Any] = [None, True, 5, -1.5, float("inf"), 10**30, "", "text", "ä\u202e", KEY, "x" * 5000, [], [None], {}]
JUNK += [{"a": None}, [[]], {"": ""}, "%%%", "*.x", "0.0.0.0:99999", {"name": KEY}, ["a", "a"], 0.0, "null"]
COMMANDS = [
    ("render",),
    ("render", "-o", "json", "-l", "a=b"),
    ("render", "-o", "yaml", "--layout", "docker", "-n", "other"),
    ("apply", "--dry-run", "-o", "json"),
    ("apply", "--prune"),
    ("apply",),
]


def manifests() -> list[dict[str, Any]]:
    by_config_map = {"configMapKeyRef": {"name": "y", "key": "ca.crt"}}
    of_pair: dict[str, Any] = {"clientCertificates": [{"name": "c", "secretRef": {"name": "x"}}]}
    selector = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
    text = trust("one", A, **of_pair, caRetention="1h") + trust("two", "b.example", nodeSelector=selector) + pair("x")
    made = [body for body in yaml.safe_load_all(text) if body]
    made[1]["spec"]["caCertificates"].append(by_config_map)
    data = {"ca.crt": authority(1).pem.decode()}
    made.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "y"}, "data": data})
    return made


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container with a key or index of it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def seeded() -> random.Random:
    return random.Random(9)  # noqa: S311 - the same in every run


def bent(value: Any, chance: random.Random) -> Any:
    """Put junk, another part of it or nothing at some places of a document, or the part itself under another key."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 4))):
        found = list(places(value))
        if not found:
            break
        container, key = chance.choice(found)
        match chance.randrange(4):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[str(chance.choice(JUNK))[:300]] = container.pop(key)
            case 2:
                other, where = chance.choice(found)
                with contextlib.suppress(LookupError):  # a change before this one may have taken it away
                    container[key] = copy.deepcopy(other[where])
            case _:
                container[key] = copy.deepcopy(chance.choice(JUNK))
    return value


def cut(text: str, chance: random.Random) -> bytes:
    """Take out, repeat, swap or add bytes and lines of a text."""
    data = bytearray(text.encode())
    for _ in range(chance.choice((1, 2, 5))):
        at, until = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(4):
            case 0:
                del data[at : min(until, at + 40)]
            case 1:
                data[at:at] = data[at : min(until, at + 80)]
            case 2:
                data[at:at] = chance.choice(
                    (b":", b"\t", b"&a ", b"*a", b"!!binary ", b"'", b"[", b"\n", b"\x00", b"\xff")
                )
            case _:
                lines = data.split(b"\n")
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                data = bytearray(b"\n".join(lines))
    return bytes(data)


def test_hundreds_of_broken_manifests_end_well_and_show_no_key(tmp_path):
    chance, whole = seeded(), manifests()
    in_text = yaml.safe_dump_all(whole)
    ends: dict[int, int] = {}
    for number in range(500):
        text: str | bytes = yaml.safe_dump_all(bent(whole, chance)) if number % 2 else cut(in_text, chance)
        words = COMMANDS[number // 2 % len(COMMANDS)]
        where = ("--root", tmp_path / "docker" / "certs.d") if words[0] == "apply" else ()
        done = run(*words, *where, "-f", "-", text=text)

        ends[done.exit_code] = ends.get(done.exit_code, 0) + 1
        assert done.exit_code in (Exit.DONE, Exit.FAILED), f"number {number}: {done.stderr}"
        assert "Traceback" not in done.output, f"number {number}"
        assert not canaries.is_in(done.output), f"number {number} shows a private key"
        assert done.exit_code == Exit.DONE or done.stderr, f"number {number} says nothing"

    assert min(ends[Exit.DONE], ends[Exit.FAILED]) > 25, f"one of the two is hardly tried: {ends}"


def test_hundreds_of_broken_kubeconfigs_are_refused_by_name_and_show_no_key(tmp_path):
    chance, file = seeded(), tmp_path / "config"
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority": str(tmp_path / "ca.crt")}
    (tmp_path / "ca.crt").write_bytes(authority(1).pem)
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "users": [{"name": "c", "user": {"token": KEY}}],
    }
    file.write_text(yaml.safe_dump(whole))
    checked(str(file))
    refusals: list[str] = []
    for number in range(500):
        text = yaml.safe_dump(bent(whole, chance)).encode() if number % 2 else cut(yaml.safe_dump(whole), chance)
        file.write_bytes(text)
        with contextlib.suppress(click.ClickException):
            checked(str(file))
            continue
        with pytest.raises(click.ClickException) as refusal:
            checked(str(file))
        refusals.append(refusal.value.message)

    assert len(refusals) > 100
    assert [each for each in refusals if str(file) not in each or canaries.is_in(each)] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("withdraw", "-n", "x"), 1, "no cluster was given: use --kubeconfig or $KUBECONFIG"),
        (("withdraw", "-n", "x", "--kubeconfig", "/nowhere"), 1, "kubeconfig /nowhere does not exist"),
        (("withdraw", "-n", "x", "--kubeconfig", "/proc/self/mem"), 1, "/proc/self/mem"),
        (("withdraw",), 2, "Missing option '-n' / '--namespace'"),
        (("check", "-n", "x"), 1, "no cluster was given: use --kubeconfig or $KUBECONFIG"),
        (("check",), 2, "Missing option '-n' / '--namespace'"),
        (("operator",), 2, "--namespace is needed outside a pod"),
        (("operator", "-n", "x"), 1, "no cluster was given"),
        (("operator", "-n", "x", "--listen", "x"), 2, "'x' is not HOST:PORT"),
        (("agent", "--node-name", "x"), 2, "required: --namespace"),
        (("render",), 2, "name files or directories of manifests (or - for standard input)"),
        (("render", "-l", "a", "x"), 2, "'a' is not KEY=VALUE of a node's label"),
        (("render", "-l", "a=b,a=c", "x"), 2, "'a' is given twice, with different values"),
        (("apply", "--root", "/x/docker/certs.d", "--remove", "x"), 2, "--remove removes everything"),
        (("apply", "--root", "/dev/null/docker/certs.d", "--remove"), 0, ""),
        (("crds", "--output-directory", "/proc/x"), 1, "/proc/x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_can_not_be_done_is_said_with_its_code(words, code, said, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = run(*words)

    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr


def test_an_api_server_that_is_away_is_said(tmp_path):
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    whole = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [context],
        "users": [{"name": "c", "user": {}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(whole))
    done = run("withdraw", "-n", "x", "--kubeconfig", tmp_path / "config")

    assert done.exit_code == Exit.FAILED
    assert "is the API server of this kubeconfig reachable from here?" in done.stderr


def program(*words: object, **options: Any) -> subprocess.Popen[bytes]:
    # A shell lets what it starts in the background ignore SIGINT, and so do its children.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "registry_trust", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **options)


def test_a_reader_that_goes_away_or_a_full_disk_ends_without_a_traceback(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone, Path("/dev/full").open("wb") as full:
        for output, said in ((gone, b""), (full, b"failed: No space left on device\n")):
            done = program("crds", stdout=output)
            assert (done.communicate()[1], done.returncode) == (said, Exit.FAILED)

    closing = f'"{sys.executable}" -m registry_trust crds >&- && "{sys.executable}" -m registry_trust render - <&-'
    closed = subprocess.run(["sh", "-c", closing], stderr=subprocess.PIPE, check=False)
    assert closed.stderr == b"Error: standard input is closed; give files, or pipe manifests into this command\n"


def test_ctrl_c_is_an_ending_with_a_message(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = program("render", tmp_path / "pipe")
    with (tmp_path / "pipe").open("wb"):  # returns when the command reads
        done.send_signal(signal.SIGINT)
        said = done.communicate()[1]

    assert (done.returncode, b"Traceback" in said) == (Exit.INTERRUPTED, False)
    assert said.strip() == b"interrupted; run the same command again to finish what it began"


def test_a_fault_of_our_own_is_called_one_and_repeats_nothing():
    @click.group(cls=Program)
    def group() -> None:
        pass

    @group.command()
    def broken() -> None:
        raise ValueError(KEY)

    done = click.testing.CliRunner().invoke(group, ["broken"])
    assert done.exit_code == Exit.FAULT
    assert "a bug in registry-trust; please report it: ValueError at " in done.stderr
    assert not canaries.is_in(done.output)


def test_every_command_ends_by_the_same_door():
    assert isinstance(main, Program)
