"""`registry-trust apply` on a host: nothing goes without being named and asked for; rows say what was really done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import A, B, actions, authority, pair, run, trust
from tools.trials.roots import fingerprint

ZONE: dict[str, Any] = {"nodeSelector": {"matchLabels": {"zone": "a"}}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "docker" / "certs.d"


def apply(root: Path, *texts: str, more: tuple[str, ...] = ()):
    return run("apply", "--root", root, "-f", "-", "-o", "json", *more, text="".join(texts))


def certificates(root: Path, registry: str) -> int:
    return (root / registry / "ca.crt").read_bytes().count(b"BEGIN")


def test_a_second_file_leaves_what_the_first_one_wrote_and_says_so(root):
    assert actions(apply(root, trust("one", A))) == {A: "created"}
    second = apply(root, trust("two", B))

    assert (second.exit_code, actions(second)) == (0, {A: "kept", B: "created"})
    assert f"kept: {A}: it comes from one, which gives this node no such registry now; --prune" in second.stderr
    assert certificates(root, A) == certificates(root, B) == 1


def test_with_prune_what_the_files_no_longer_have_goes_and_is_named(root):
    apply(root, trust("one", A))
    second = apply(root, trust("two", B), more=("--prune",))

    assert (second.exit_code, actions(second)) == (0, {A: "removed", B: "created"})
    assert not (root / A).exists()


def test_a_trust_that_the_labels_do_not_select_is_named_and_its_files_stay(root):
    apply(root, trust("one", A, **ZONE), more=("-l", "zone=a"))
    other = apply(root, trust("one", A, **ZONE), more=("-l", "zone=b,x=y"))

    assert (other.exit_code, actions(other)) == (0, {A: "kept"})
    assert "not selected: one: its nodeSelector does not match the labels of --label" in other.stderr
    assert actions(apply(root, trust("one", A, **ZONE), more=("-l", "zone=b", "--prune"))) == {A: "removed"}


def test_a_registry_that_its_trust_names_no_longer_is_kept_until_prune(root):
    apply(root, trust("one", A, B))
    assert actions(apply(root, trust("one", A))) == {A: "unchanged", B: "kept"}
    assert actions(apply(root, trust("one", A), more=("--prune",))) == {A: "unchanged", B: "removed"}


def test_files_that_another_trust_is_part_of_are_not_changed_over_its_head(root):
    apply(root, trust("one", A), trust("two", A, ca=2))
    alone = apply(root, trust("two", A, ca=2))

    assert (alone.exit_code, actions(alone)) == (1, {A: "failed"})
    assert f"failed: {A}: nothing was changed, since the files of one would go" in alone.stderr
    assert certificates(root, A) == 2
    assert actions(apply(root, trust("two", A, ca=2), more=("--prune",))) == {A: "updated"}
    assert certificates(root, A) == 1


def test_the_same_certificates_from_another_trust_keep_the_first_one_on_record(root):
    apply(root, trust("one", A))
    assert actions(apply(root, trust("two", A))) == {A: "unchanged"}
    assert actions(apply(root, trust("two", A, ca=2))) == {A: "failed"}


def test_a_dry_run_shows_what_a_run_then_does_and_changes_nothing(root):
    planned = apply(root, trust("one", A), more=("--dry-run",))
    assert (actions(planned), root.parent.exists()) == ({A: "created"}, False)

    apply(root, trust("one", A))
    for more in ((), ("--prune",)):
        before = fingerprint(root)
        planned = apply(root, trust("two", B), more=(*more, "--dry-run"))
        assert fingerprint(root) == before
        assert actions(planned) == actions(apply(root, trust("two", B), more=more))

    before = fingerprint(root)
    planned = run("apply", "--root", root, "--remove", "--dry-run", "-o", "json")
    assert (fingerprint(root), actions(planned)) == (before, {B: "removed"})


def test_rows_come_from_what_was_done_and_not_from_the_plan(root):
    root.mkdir(parents=True)
    store = root / ".registry-trust"
    store.mkdir(mode=0o755)
    (store / A).write_text("somebody's")
    done = apply(root, trust("one", A, B))

    assert (done.exit_code, actions(done)[B]) == (1, "created")
    assert actions(done)[A] == "failed"
    assert not (root / A).exists()


def test_files_that_changed_on_the_disk_are_repaired(root):
    apply(root, trust("one", A))
    file = (root / A / "ca.crt").resolve()
    file.chmod(0o644)
    file.write_text("x")

    assert actions(apply(root, trust("one", A))) == {A: "repaired"}


def test_if_anything_is_refused_nothing_is_written(root):
    done = apply(root, trust("one", A), trust("two", "b.example:0"))

    assert done.exit_code == 1
    assert "refused: two: InvalidPort: spec.registries[0]" in done.stderr
    assert "nothing was written" in done.stderr
    assert not root.exists()


def test_a_suspended_trust_changes_nothing_and_is_named(root):
    apply(root, trust("one", A))
    done = apply(root, trust("one", A, ca=2, suspend=True), more=("--prune",))

    assert (done.exit_code, actions(done)) == (0, {A: "held"})
    assert "suspended: one: it changes nothing until spec.suspend is removed" in done.stderr


def test_removing_everything_names_each_registry(root):
    apply(root, trust("one", A, B))
    done = run("apply", "--root", root, "--remove")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [f"removed   {A}", f"removed   {B}"]
    assert list(root.iterdir()) == []


def test_what_reads_the_root_is_told_by_its_path_or_by_the_option(tmp_path):
    containerd = tmp_path / "var/lib/rancher/k3s/agent/etc/containerd/certs.d"
    assert apply(containerd, trust("one", B)).exit_code == 0
    assert (containerd / B / "hosts.toml").exists()

    unknown = apply(tmp_path / "mine", trust("one", B))
    assert unknown.exit_code == 2
    assert "add --layout docker|containers|containerd" in unknown.stderr
    assert apply(tmp_path / "mine", trust("one", B), more=("--layout", "docker")).exit_code == 0


def test_manifests_come_from_arguments_options_folders_and_standard_input(tmp_path):
    folder = tmp_path / "manifests"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "one.yaml").write_text(trust("one", A))
    (folder / ".hidden" / "one.yaml").write_text(trust("one", A))
    (folder / "below" / "two.json").write_text(json.dumps({"kind": "List", "items": []}))
    (folder / "readme.md").write_text("{")
    done = run("render", folder, folder / "one.yaml", "-f", "-", "-o", "json", text=trust("two", B))

    assert (done.exit_code, done.stderr) == (0, "")
    assert [each["name"] for each in json.loads(done.stdout)["trusts"]] == ["one", "two"]
    assert f"{A} -> " in run("render", folder).stdout


def test_the_same_object_in_two_files_is_refused_with_both_places(tmp_path):
    (tmp_path / "1.yaml").write_text(trust("one", A))
    (tmp_path / "2.yaml").write_text("\n" + trust("one", B) + pair("x") + pair("x"))
    done = run("render", tmp_path)

    assert done.exit_code == 1
    assert f'2.yaml:2: RegistryTrust "one" is already defined at {tmp_path}/1.yaml:1; remove one of them' in done.stderr
    assert f'Secret "x" is already defined at {tmp_path}/2.yaml:' in done.stderr


def test_a_source_of_another_namespace_is_named_and_the_option_reads_it(tmp_path):
    secret = pair("x").replace("name: x", "name: x\n  namespace: other")
    text = secret + trust("one", A, clientCertificates=[{"secretRef": {"name": "x"}}])
    there = run("render", "-", "-n", "other", "-o", "json", text=text)
    elsewhere = run("render", "-", text=text)

    assert there.exit_code == 0, there.stderr
    assert "client.key" in there.stdout
    assert elsewhere.exit_code == 1
    assert 'Secret "x" is in namespace "other" and is not read; only registry-certificates is' in elsewhere.stderr


def test_files_that_can_not_be_read_are_all_named(tmp_path):
    (tmp_path / "one.yaml").write_text(trust("one", A))
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "io.yaml").symlink_to("/proc/self/mem")
    (tmp_path / "latin.yaml").write_bytes(b"kind: x\nname: \xe9\n")
    (tmp_path / "wide.yaml").write_bytes("kind: x".encode("utf-16"))
    done = run("render", tmp_path, "nothing-there", "/dev/zero")

    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"Error: {tmp_path}/gone.yaml can't be read: No such file or directory",
        f"Error: {tmp_path}/io.yaml can't be read: Input/output error",
        f"Error: {tmp_path}/latin.yaml:2: is not UTF-8 text",
        f"Error: {tmp_path}/wide.yaml:1: is not UTF-8 text; it is UTF-16, save it as UTF-8",
        "Error: nothing-there can't be read: No such file or directory",
        "Error: /dev/zero is a device, not a file of manifests",
    ]


def test_documents_for_programs_have_no_private_key(tmp_path):
    text = pair("x") + trust("one", A, clientCertificates=[{"secretRef": {"name": "x"}}])
    for output in ("tree", "json", "yaml"):
        done = run("render", "-", "-o", output, text=text)
        assert (done.exit_code, "PRIVATE KEY" in done.output) == (0, False)
        assert ("BEGIN CERTIFICATE" in done.stdout) == (output != "tree")
    assert authority(1).pem.decode().splitlines()[1] in done.stdout
