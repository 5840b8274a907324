"""What an entry carries: each containerd tries the same hosts for a registry as without us, with our certificates."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from registry_trust.agent.single_pass import apply_once
from registry_trust.core.layout import STORE, Layout
from registry_trust.core.report import RowState
from tests.integration.looping_agent import HOST, Looping
from tests.rows import message_of, reason_of
from tools.authority import Authority
from tools.trials.clearing import Neighbour
from tools.trials.containerd_oracle import VERSIONS
from tools.trials.hosts_files import TRUSTED
from tools.trials.hosts_oracle import ask, differences
from tools.trials.roots import Root, fingerprint, wanted

pytestmark = pytest.mark.tools("containerds")

OURS, THEIRS = Authority.create("ours"), Authority.create("theirs")


@pytest.mark.parametrize(
    ("registry", "layout", "numbers"),
    [
        (TRUSTED, Layout.CONTAINERD, range(400)),
        ("docker.io", Layout.CONTAINERD, range(400, 500)),
        ("[2001:db8::1]:5000", Layout.CONTAINERD, range(500, 600)),
        ("localhost:5000", Layout.CONTAINERD, range(600, 650)),
        (TRUSTED, Layout.DOCKER, range(700, 850)),
    ],
    ids=str,
)
def test_a_registrys_hosts_are_those_without_our_entry_plus_our_certificates(
    tmp_path: Path, registry: str, layout: Layout, numbers: range
) -> None:
    found, counts = differences(tmp_path, tuple(VERSIONS), numbers, registry, layout)

    assert found == [], f"python -m tools.torture hosts prints the files; first: {found[0]}"
    assert counts["written"] > len(numbers) * 0.5, "most files are carried"


@pytest.mark.parametrize(
    ("name", "files", "carried"),
    [
        ("_default", {"ca.crt": THEIRS.pem}, True),
        ("_default", {"hosts.toml": b"[host.'https://m.example']\nrewrite = {}\n"}, False),
        ("_default", {"hosts.toml": b"[host.'https://m.example'\n"}, False),
        (TRUSTED, {"ca.crt": THEIRS.pem}, False),
        (TRUSTED, {"hosts.toml": b"[host.'https://m.example']\n"}, False),
    ],
)
def test_the_fix_that_would_shadow_prints_is_carried_out_as_it_stands(
    tmp_path: Path, name: str, files: dict[str, bytes], *, carried: bool
) -> None:
    root = Root(tmp_path / "certs.d", Layout.CONTAINERD)
    (root.path / name).mkdir()
    for file, data in files.items():
        (root.path / name / file).write_bytes(data)

    def row() -> tuple[str, str]:
        with root.store.lock() as store:
            (row,) = root.plan(store, wanted(OURS.pem)).rows
        return reason_of(row), message_of(row)

    reason, message = row()
    assert (reason == "MirrorsCarried") is carried
    if not carried:
        assert reason == "WouldShadow"
        command = re.search(r"move it away: (mv [!-~]+ [!-~]+)$", message)
        assert command is not None, message
        subprocess.run(command[1], shell=True, check=True, timeout=10)  # noqa: S602 - as an admin does
        assert row() == ("", "")
    root.bring_well(wanted(OURS.pem))
    (answer,) = ask("2.4", [(root.path, TRUSTED)])
    assert [host["caSubjects"] for host in answer["hosts"]] == [["CN=ours", *(["CN=theirs"] if carried else [])]]


@pytest.mark.parametrize(
    ("broken", "fixed"),
    [
        ("[host.'https://m.example']\nrewrite = {}\n", "[host.'https://m.example']\n"),
        ("[host.a]\n[host.b]\n[host.a.header]\nx = 'y'\n", "[host.a]\n[host.a.header]\nx = 'y'\n[host.b]\n"),
        ("[host.'https://user:word@m.example']\n", "[host.'https://m.example']\n"),
        ("[host.a]\ndial_timeout = '5'\n", "[host.a]\ndial_timeout = '5s'\n"),
        ("[host.a.header]\nx = '''y'''\n", "[host.a.header]\nx = 'y'\n"),
    ],
)
def test_the_other_fix_is_to_correct_the_file(tmp_path: Path, broken: str, fixed: str) -> None:
    root = Root(tmp_path / "certs.d", Layout.CONTAINERD)
    (root.path / "_default").mkdir()
    (root.path / "_default" / "hosts.toml").write_text(broken)
    assert root.bring(wanted(OURS.pem)) == ()

    (root.path / "_default" / "hosts.toml").write_text(fixed)
    root.bring_well(wanted(OURS.pem))

    (answer,) = ask("2.4", [(root.path, TRUSTED)])
    assert [host["caSubjects"] for host in answer["hosts"]][-1] == ["CN=ours"]
    assert len(answer["hosts"]) > 1


def test_links_and_special_files_are_not_followed_and_never_waited_for(tmp_path: Path) -> None:
    for number, kind in enumerate(("link", "hosts link", "fifo", "no text", "directory", "crowded")):
        root = Root(tmp_path / str(number), Layout.CONTAINERD)
        default = root.path / "_default"
        elsewhere = tmp_path / f"elsewhere-{number}"
        elsewhere.mkdir()
        (elsewhere / "hosts.toml").write_text("[host.a]\n")
        if kind == "link":
            default.symlink_to(elsewhere)
        else:
            default.mkdir()
        if kind == "hosts link":
            (default / "hosts.toml").symlink_to(elsewhere / "hosts.toml")
        elif kind == "fifo":
            subprocess.run(["mkfifo", default / "hosts.toml"], check=True, timeout=10)
        elif kind == "crowded":
            for file in range(1000):
                (default / f"{file}.crt").touch()
        elif kind == "directory":
            (default / "hosts.toml").mkdir()
        elif kind == "no text":
            (default / "hosts.toml").write_bytes(b"\xff\x00")

        with root.store.lock() as store:
            made = root.plan(store, wanted(OURS.pem))

        assert made.steps == (), kind
        assert [reason_of(row) for row in made.rows] == ["WouldShadow"], kind


def test_an_entry_that_carries_a_password_is_as_closed_as_one_with_a_key(tmp_path: Path) -> None:
    root = Root(tmp_path / "certs.d", Layout.CONTAINERD)
    (root.path / "_default").mkdir()
    (root.path / "_default" / "hosts.toml").write_text("[host.a.header]\nAuthorization = 'Basic canary'\n")

    root.bring_well(wanted(OURS.pem))

    modes = {path.name: path.stat().st_mode & 0o777 for path in root.generation().iterdir()}
    assert set(modes.values()) == {0o600}
    assert root.generation().stat().st_mode & 0o777 == 0o700
    assert "canary" in (root.generation() / "hosts.toml").read_text()
    assert "canary" not in (root.folder() / "owner.json").read_text()
    (root.path / "_default" / "hosts.toml").unlink()
    root.bring_well(wanted(OURS.pem))
    assert {path.stat().st_mode & 0o777 for path in root.generation().iterdir()} == {0o644}


# ---- over time -------------------------------------------------------------------------------------------------------

MIRRORS = "[host.'http://127.0.0.1:30020']\n"


def mirrors_in(entry: Path) -> list[str]:
    return list(tomllib.loads((entry / "hosts.toml").read_text()).get("host", {}))


def test_the_loop_comes_back_by_itself_when_default_has_settled_and_keeps_the_last_good_one(
    tmp_path: Path, looping: Looping
) -> None:
    agent = looping(tmp_path, (Layout.CONTAINERD,))
    root = agent.roots[Layout.CONTAINERD]
    default, entry = root / "_default" / "hosts.toml", root / HOST.format(0)
    default.parent.mkdir()
    default.write_text(MIRRORS)
    agent.hear(1)

    agent.turn()
    assert [row.state for row in agent.report.registries] == [RowState.PENDING]
    assert not entry.exists()
    agent.turn()
    assert mirrors_in(entry) == ["http://127.0.0.1:30020"]
    assert [reason_of(row) for row in agent.report.registries] == ["MirrorsCarried"]

    for half in ("[host.'http://127.0.", "", MIRRORS.replace("30020", "30021")[:-3]):
        default.write_text(half)
        agent.turn()
        assert mirrors_in(entry) == ["http://127.0.0.1:30020"]
    default.write_text(MIRRORS.replace("30020", "30021"))
    for _ in range(3):
        agent.turn()
    assert mirrors_in(entry) == ["http://127.0.0.1:30021"]

    default.write_text("[host b]\n")
    for _ in range(3):
        agent.turn()
    assert [reason_of(row) for row in agent.report.registries] == ["MirrorsNotFollowed"]
    shutil.rmtree(root / STORE)  # Whatever becomes of the entry meanwhile.
    entry.unlink()
    for _ in range(3):
        agent.turn()
    assert mirrors_in(entry) == ["http://127.0.0.1:30021"]

    shutil.rmtree(default.parent)
    for _ in range(3):
        agent.turn()
    assert mirrors_in(entry) == []
    assert agent.is_well(1)


def test_a_new_process_carries_on_what_stands_in_our_own_file_while_default_is_broken(tmp_path: Path) -> None:
    root = Root(tmp_path / "certs.d", Layout.CONTAINERD)
    (root.path / "_default").mkdir()
    (root.path / "_default" / "hosts.toml").write_text(MIRRORS)
    root.bring_well(wanted(OURS.pem))
    generation = root.generation()
    (root.path / "_default" / "hosts.toml").write_text("[host b]\n")

    assert root.restart().bring(wanted(OURS.pem)) == ()
    assert root.generation() == generation
    root.bring_well(wanted(THEIRS.pem))

    assert mirrors_in(root.entry()) == ["http://127.0.0.1:30020"]
    assert (root.entry() / "ca.crt").read_bytes() == THEIRS.pem


def test_what_spegel_puts_back_when_it_is_uninstalled_is_brought_up_to_date(tmp_path: Path) -> None:
    root = Root(tmp_path / "certs.d", Layout.CONTAINERD)
    root.bring_well(wanted(OURS.pem))
    neighbour = Neighbour(root.path, MIRRORS)
    neighbour.start()
    root.bring_well(wanted(THEIRS.pem))
    assert mirrors_in(root.entry()) == ["http://127.0.0.1:30020"]
    neighbour.start()
    root.bring_well(wanted(THEIRS.pem))
    assert mirrors_in(root.entry()) == ["http://127.0.0.1:30020"]

    neighbour.uninstall()
    assert (root.entry() / "ca.crt").read_bytes() == OURS.pem
    root.bring_well(wanted(THEIRS.pem))

    assert (root.entry() / "ca.crt").read_bytes() == THEIRS.pem
    assert mirrors_in(root.entry()) == []
    assert root.findings() == ()


def test_one_pass_by_hand_carries_it_too_and_its_removal_leaves_it(tmp_path: Path) -> None:
    root = tmp_path / "certs.d"
    (root / "_default").mkdir(parents=True)
    (root / "_default" / "hosts.toml").write_text(MIRRORS)
    before = fingerprint(root / "_default")

    tried = apply_once(str(root), Layout.CONTAINERD, wanted(OURS.pem), dry_run=True)
    done = apply_once(str(root), Layout.CONTAINERD, wanted(OURS.pem))
    again = apply_once(str(root), Layout.CONTAINERD, wanted(OURS.pem))

    assert [row.action for each in (tried, done, again) for row in each.rows] == ["created", "created", "unchanged"]
    assert [reason_of(row) for row in again.rows] == ["MirrorsCarried"]
    assert apply_once(str(root), Layout.CONTAINERD, wanted(OURS.pem), remove=True).failures == ()
    assert [path.name for path in root.iterdir()] == ["_default"]
    assert fingerprint(root / "_default") == before
