"""registry-trust lint: everything that is wrong with manifests, with its place, its reason and the right exit code."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from registry_trust.cli.linting.images import registry_of
from tests.integration import registry_grammar
from tests.integration.commands import A, B, authority, pair, run, trust
from tools.cluster.judge import Question, judge
from tools.pki import curve_key, issue


def findings(*arguments: object, text: str = "") -> list[tuple[str, str, str]]:
    """Return severity, reason (or what the message begins with) and field of each finding."""
    rows = json.loads(run("lint", *arguments, "-o", "json", text=text).stdout)["findings"]
    return [(row["severity"], row["reason"] or row["message"].partition(";")[0], row["field"]) for row in rows]


def pod(*images: str) -> str:
    return yaml.safe_dump({"kind": "Pod", "spec": {"containers": [{"image": image} for image in images]}}) + "---\n"


def test_manifests_with_nothing_wrong_end_with_0_and_say_so():
    done = run("lint", "-", text=trust("a", A))

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "1 RegistryTrust checked: nothing to report\n")


def test_an_error_ends_with_1_at_the_line_and_column_of_its_field(tmp_path: Path):
    file = tmp_path / "trust.yaml"
    file.write_text(trust("fine", B) + trust("bad", "https://a.example"))
    done = run("lint", file)
    at = next(n for n, line in enumerate(file.read_text().splitlines(), 1) if "https://" in line)

    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{file}:{at}:5: error: RegistryTrust bad: InvalidHost: spec.registries[0]: ")


def test_a_file_that_is_named_and_is_not_yaml_is_an_error_at_its_place(tmp_path: Path):
    file = tmp_path / "broken.yaml"
    file.write_text("kind: RegistryTrust\nmetadata: {\n")
    done = run("lint", file)

    assert done.exit_code == 1
    assert done.stdout.startswith(f"{file}:3:1: error: ")


def test_a_template_in_a_directory_is_a_note_unless_it_is_about_a_registrytrust(tmp_path: Path):
    (tmp_path / "trust.yaml").write_text(trust("a", A))
    (tmp_path / "template.yaml").write_text("{{ if .Values.x }}\nkind: Pod\n")
    assert [each[0] for each in findings(tmp_path)] == ["note"]

    (tmp_path / "template.yaml").write_text("{{ if .Values.x }}\nkind: RegistryTrust\n")
    assert [each[0] for each in findings(tmp_path)] == ["error"]


def test_a_source_that_is_not_in_the_files_is_a_note_and_one_without_the_key_an_error():
    absent = trust("a", A, caCertificates=[{"secretKeyRef": {"name": "elsewhere", "key": "ca.crt"}}])
    assert findings("-", text=absent) == [("note", "SecretNotFound", "spec.caCertificates[0].secretKeyRef")]

    there = pair("elsewhere")
    (found,) = findings("-", text=absent + there)
    assert found[:2] == ("error", "SecretKeyNotFound")


def test_a_certificate_that_expires_soon_is_a_warning_which_strict_makes_fatal():
    now, day = datetime.now(UTC), timedelta(days=1)
    made = issue("short", curve_key(3), ca=True, signs=True, not_before=now - 300 * day, not_after=now + 20 * day)
    short = made.pem.decode()
    text = trust("a", A, caCertificates=[{"inline": short}])

    assert [each[:2] for each in findings("-", text=text)] == [("warning", "Expiring")]
    assert run("lint", "-", text=text).exit_code == 0
    assert run("lint", "-", "--strict", text=text).exit_code == 1
    assert findings("-", "--expiry-warning", "48h", text=text) == []


def test_two_trusts_with_one_name_for_two_client_certificates_are_a_warning_whatever_nodes_they_select():
    one, two = ([{"name": "node", "secretRef": {"name": name}}] for name in ("one", "two"))
    text = trust("a", A, clientCertificates=one, nodeSelector={"matchLabels": {"pool": "x"}}) + pair("one")
    text += trust("b", A, clientCertificates=two) + pair("two", key=8)

    assert [each[:2] for each in findings("-", text=text)] == [("warning", "ClientCertificateConflict")]


def test_a_duplicate_is_an_error_that_names_both_places(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(trust("same", A))
    (tmp_path / "b.yaml").write_text(trust("same", B))
    done = run("lint", tmp_path)

    assert done.exit_code == 1
    assert f"{tmp_path}/b.yaml:1: error: " in done.stdout
    assert f"{tmp_path}/a.yaml:1" in done.stdout


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (f"{A}/team/app:1", []),
        ("A.example:5000/app", ["warning"]),
        (f"{B}:443/app", ["warning"]),
        ("elsewhere.example/app", ["note"]),
        ("nginx", ["note"]),
    ],
)
def test_an_image_whose_registry_no_trust_names_is_a_note_and_another_spelling_a_warning(tmp_path, image, expected):
    (tmp_path / "pod.yaml").write_text(pod(image))

    assert [each[0] for each in findings("-", "--images", tmp_path, text=trust("a", A, B))] == expected


def test_a_ca_replaced_with_no_overlap_is_a_warning_against_how_it_was(tmp_path: Path):
    before = tmp_path / "before.yaml"
    before.write_text(trust("a", A, ca=1))

    assert [each[:2] for each in findings("-", "--against", before, text=trust("a", A, ca=2))] == [
        ("warning", "RootReplaced")
    ]
    both = [{"inline": (authority(1).pem + authority(2).pem).decode()}]
    assert findings("-", "--against", before, text=trust("a", A, caCertificates=both)) == []


def test_what_a_change_takes_from_nodes_is_a_warning(tmp_path: Path):
    before = tmp_path / "before.yaml"
    before.write_text(trust("a", A, B) + trust("gone", "c.example"))
    found = findings("-", "--against", before, text=trust("a", A))

    assert set(found) == {
        ("warning", "no longer names b.example: nodes lose its certificates for that", "spec.registries"),
        ("warning", "is gone: nodes lose its certificates for c.example", ""),
    }


@pytest.mark.tools("oracle")
def test_the_registry_of_an_image_is_what_the_reference_library_of_runtimes_reads():
    texts = [name for name in dict.fromkeys(registry_grammar.names(6_000, 3)) if name and "/" not in name]
    verdicts = [
        (text, each.domain)
        for text, each in zip(texts, judge("judge", (Question(registry=text) for text in texts)), strict=True)
    ]
    read = [(text, domain) for text, domain in verdicts if domain]

    assert len(read) > 100, "hardly a reference was read: the test would prove nothing"
    assert {text: domain for text, domain in read if registry_of(f"{text}/x:y") != domain} == {}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    identity = ("-c", "user.name=a", "-c", "user.email=a@a.example")
    (tmp_path / "trusts").mkdir()
    (tmp_path / "trusts" / "a.yaml").write_text(trust("a", A, ca=1))
    (tmp_path / "trusts" / "chart.yaml").write_text("{{ x }}\n")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], check=True, cwd=tmp_path)
    return tmp_path


def test_a_revision_of_git_is_read_without_touching_the_work_tree(repository: Path):
    (repository / "trusts" / "a.yaml").write_text(trust("a", A, ca=2))
    (repository / "trusts" / "chart.yaml").unlink()
    before = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True).stdout

    assert [each[:2] for each in findings("trusts/a.yaml", "--against", "HEAD")] == [("warning", "RootReplaced")]
    assert [each[:2] for each in findings(repository / "trusts" / "a.yaml", "--against", "HEAD")] == [
        ("warning", "RootReplaced")
    ]
    assert subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True).stdout == before


def test_a_revision_that_can_not_be_read_is_not_compared_and_a_note_says_so(repository: Path):
    assert [each[0] for each in findings("trusts", "--against", "HEAD")] == ["note", "note"]


@pytest.mark.parametrize("against", ["nowhere", "--output=x", "HEAD:missing"])
def test_what_is_neither_a_path_nor_a_revision_is_refused(repository: Path, against: str):
    done = run("lint", "trusts/a.yaml", f"--against={against}")

    assert done.exit_code == 2
    assert "is neither a file or directory nor a revision of git" in " ".join(done.stderr.split())
