"""The doctor names each failure of "Why is my pull failing?" that files on a node can make, as the loaders find it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Selector
from registry_trust.core.verdict.verdict import State, Verdict, failed, unknown, verified
from registry_trust.doctor.diagnosis import Diagnosis, Outlook, diagnose
from registry_trust.doctor.evidence import Effect, FileUse, PullError
from registry_trust.doctor.examination import Examination
from registry_trust.doctor.options import parse
from registry_trust.doctor.showing import document, text
from tests.integration.commands import EVER
from tests.integration.doctor_situations import SITUATIONS, Situation
from tests.integration.doctored_node import CLIENT, CONTAINERD, CRIO, DOCKER, REGISTRY, ROOTS, HostTree
from tests.integration.generated_roots import REGISTRIES, make
from tools.cluster.loaders import Loaders
from tools.pki import curve_key, issue
from tools.trials.roots import fingerprint

pytestmark = pytest.mark.tools("oracle")


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return HostTree(tmp_path)


@pytest.fixture(scope="module")
def program() -> Iterator[Loaders]:
    """Start the loaders program once."""
    with Loaders() as started:
        yield started


def chief_reason(found: Diagnosis) -> str:
    assert found.chief is not None
    return "" if found.chief.reason is None else found.chief.reason.value


def error_of(found: Diagnosis) -> PullError | None:
    """Return the words with which a pull of the registry fails: a file's, or else those of what is wrong above it."""
    (registry,) = found.registries
    return registry.error() or next((each.error for each in found.symptoms if each.error), None)


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_the_doctor_names_what_the_loader_finds(program: Loaders, tree: HostTree, situation: Situation) -> None:
    tree.runtime = situation.runtime
    bundle = tree.bundle()
    situation.made(tree)
    tree.bring(bundle)
    situation.after(tree)

    found = tree.doctor()

    (registry,) = found.registries
    assert found.outlook is registry.outlook is Outlook.FAILS
    assert (error_of(found), chief_reason(found)) == (situation.error, situation.reason), text(found, REGISTRY)
    assert situation.fix in found.fix
    loaded = tree.loaded(program)
    assert loaded.ok is (situation.loader == "")
    assert situation.loader in loaded.error
    shown = text(found, REGISTRY)
    assert shown.splitlines()[-1].strip()
    assert CLIENT.key.decode().splitlines()[1] not in shown + document(found)


@pytest.mark.parametrize("runtime", [CONTAINERD, DOCKER, CRIO])
def test_nothing_is_wrong_with_a_node_as_it_should_be(program: Loaders, tree: HostTree, runtime: str) -> None:
    tree.runtime = runtime
    tree.bring(tree.bundle())
    before = fingerprint(tree.path)

    found = tree.doctor()

    assert found.outlook is Outlook.GOOD, text(found, REGISTRY)
    assert found.fix == ""
    assert fingerprint(tree.path) == before
    assert tree.pauses == []
    assert roots_of(found) == list(tree.loaded(program).ca_subjects) == ["CN=registry CA"]


def roots_of(found: Diagnosis) -> list[str]:
    """Return the subjects of the CA certificates that are read."""
    (registry,) = found.registries
    files = [file for lookup in registry.seen.lookups for file in lookup.files]
    return [each.subject for file in files if file.use is FileUse.AUTHORITIES for each in file.certificates]


@pytest.mark.parametrize(("days", "word"), [(31, "expired: CN=registry CA"), (-1, "not yet valid: CN=registry CA")])
def test_certificates_are_judged_by_the_clock_of_the_node(tree: HostTree, days: int, word: str) -> None:
    tree.bring(tree.bundle())
    now = time.time() + timedelta(days=days).total_seconds()

    found = tree.doctor(now=now)

    assert error_of(found) is PullError.DATES
    assert any(word in each.found for each in found.registries[0].symptoms)


def test_without_a_bundle_it_says_what_is_there_and_that_nobody_knows_what_is_wanted(tree: HostTree) -> None:
    tree.bring(tree.bundle())
    options = parse([f"--node-root={tree.path}", f"--runtime={tree.runtime}", REGISTRY])

    found = diagnose(Examination(options).evidence())

    assert found.outlook is Outlook.GOOD
    assert "not known without the bundle; what is here is of trust harbor" in text(found, REGISTRY)


def test_a_selector_that_does_not_select_the_node_is_named(tree: HostTree) -> None:
    tree.selector = Selector((("zone", "a"),))
    tree.bundle()

    assert "its nodeSelector does not select this node" in tree.doctor().registries[0].symptoms[0].found
    assert "its nodeSelector" not in tree.doctor("--label=zone=a").registries[0].symptoms[0].found


ANSWERED = [
    (failed(Reason.UNKNOWN_AUTHORITY, "put its CA in", ("CN=other",)), Outlook.FAILS, PullError.UNKNOWN_AUTHORITY),
    (failed(Reason.WRONG_NAME, "have it reissued"), Outlook.FAILS, PullError.OTHER_NAME),
    (failed(Reason.COMMON_NAME_ONLY, "have it reissued"), Outlook.FAILS, PullError.COMMON_NAME),
    (failed(Reason.OUTSIDE_VALIDITY, "renew it"), Outlook.FAILS, PullError.DATES),
    (failed(Reason.CLIENT_CERTIFICATE_REFUSED, "use another"), Outlook.FAILS, PullError.CERTIFICATE_REQUIRED),
    (verified("it works", ()), Outlook.GOOD, None),
    (unknown(Reason.NOT_PROBED, "a proxy"), Outlook.GOOD, None),
]


@pytest.mark.parametrize(("verdict", "outlook", "error"), ANSWERED)
def test_what_the_registry_showed_counts_where_the_files_are_as_they_should_be(
    tree: HostTree, verdict: Verdict, outlook: Outlook, error: PullError | None
) -> None:
    tree.bring(tree.bundle())
    evidence = tree.doctor().evidence
    (seen,) = evidence.registries

    found = diagnose(replace(evidence, registries=(replace(seen, verdict=verdict),)))

    assert (found.outlook, found.registries[0].error()) == (outlook, error)
    assert f"asked       {verdict.state}: {verdict.problem.message}" in text(found, REGISTRY)
    assert found.fix == ("" if outlook is Outlook.GOOD else verdict.problem.message)


def test_a_registry_that_is_named_is_asked_with_the_files_that_are_read(tree: HostTree) -> None:
    tree.asks, tree.registry = True, "registry.test:1"
    tree.write("/etc/hosts", "127.0.0.1 registry.test\n")
    tree.bring(tree.bundle())

    found = tree.doctor()

    (registry,) = found.registries
    assert registry.seen.verdict is not None
    assert registry.seen.verdict.state is State.UNKNOWN, "a loopback address of another network is never asked"
    assert found.outlook is Outlook.GOOD


def test_a_proxy_in_a_unit_of_the_host_is_said_without_its_value(tree: HostTree) -> None:
    tree.bring(tree.bundle())
    assert not [each for each in tree.doctor().symptoms if "HTTPS_PROXY" in each.found]

    tree.write(
        "/etc/systemd/system/containerd.service.d/proxy.conf", "[Service]\nEnvironment=HTTPS_PROXY=http://u:p@x\n"
    )
    (told,) = [each for each in tree.doctor().symptoms if "HTTPS_PROXY" in each.found]

    assert told.effect is Effect.NOTE
    assert "u:p" not in told.found


def test_a_step_of_the_agent_in_between_is_waited_for(tree: HostTree) -> None:
    bundle = tree.bundle()

    def bring(seconds: float) -> None:
        tree.pauses.append(seconds)
        tree.bring(bundle)

    found = diagnose(Examination(tree.options(REGISTRY), pause=bring).evidence())

    assert (found.outlook, len(tree.pauses)) == (Outlook.GOOD, 1)


def test_it_agrees_with_the_loaders_about_generated_directories(program: Loaders, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - the same in every run
    wrong, refused, lookups = [], 0, 0
    for number in range(40):
        runtime = chance.choice([CONTAINERD, DOCKER, CRIO])
        tree = HostTree(tmp_path / str(number), runtime)
        tree.link(str(tree.path), "/")  # absolute paths in a hosts.toml are those of this machine, for the loader
        make(tree.at(tree.root), ROOTS[runtime][1], chance)
        for registry in REGISTRIES if runtime != DOCKER else REGISTRIES[:-1]:  # dockerd does not look for docker.io
            tree.registry = registry
            options = parse([f"--node-root={tree.path}", f"--runtime={runtime}", registry])
            found = diagnose(Examination(options, pause=tree.pauses.append).evidence())
            (seen,) = found.registries
            fails = [each for each in seen.symptoms if each.effect is Effect.FAILS and each.error not in LATER]
            doubts = [each for each in seen.symptoms if each.effect is Effect.UNKNOWN]
            loaded = tree.loaded(program)
            lookups, refused = lookups + 1, refused + (not loaded.ok)
            if doubts:
                continue
            if loaded.ok is bool(fails) or (loaded.ok and set(roots_of(found)) != set(loaded.ca_subjects)):
                wrong.append((number, registry, runtime, loaded, [each.found for each in fails], roots_of(found)))

    assert wrong == []
    assert refused > 3, lookups


LATER = (PullError.UNKNOWN_AUTHORITY, PullError.DATES, PullError.INVALID_HOSTS, PullError.CERTIFICATE_REQUIRED)
"""Words that come after the directory was loaded."""


PAGE = Path(__file__).resolve().parents[2] / "docs" / "why-is-my-pull-failing.md"


def example(tree: HostTree) -> str:
    """Return what the doctor prints on a node where another program's directory is in the way: always the same."""
    old = issue("old corporate CA", curve_key(1), ca=True, signs=True, **EVER)
    tree.theirs(ca_crt=old.pem)
    tree.bring(tree.bundle())
    found = tree.doctor("--node-name=worker-2", now=datetime(2026, 11, 26, 3, tzinfo=UTC).timestamp())
    return text(found, REGISTRY).replace(f"uid {os.geteuid()}", "uid 0")


def test_the_page_shows_what_the_doctor_prints(tree: HostTree) -> None:
    shown = example(tree)

    assert f"\n{shown}```\n" in PAGE.read_text(), shown


def test_the_doctors_words_for_a_failing_pull_are_headings_of_the_page() -> None:
    headings = {line.removeprefix("## ") for line in PAGE.read_text().splitlines() if line.startswith("## ")}

    assert {error.value for error in PullError} <= headings
    assert {situation.error for situation in SITUATIONS.values()} | {PullError.DATES} | BY_THE_REGISTRY == {*PullError}


BY_THE_REGISTRY = {
    PullError.OTHER_NAME,
    PullError.COMMON_NAME,
    PullError.CERTIFICATE_REQUIRED,
    PullError.FORBIDDEN,
}
"""What only a registry's answer can show, and what concerns an ordinary user's tools alone."""


def run(*arguments: str, module: str = "registry_trust.doctor") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_ends_with_its_exit_codes_and_documents(tree: HostTree) -> None:
    tree.bring(tree.bundle())
    given = (f"--node-root={tree.path}", f"--runtime={tree.runtime}", f"--bundle={tree.path}/bundle")

    good = run("doctor", *given, "-o", "json", module="registry_trust")
    body: dict[str, Any] = json.loads(good.stdout)
    assert (good.returncode, good.stderr, body["outlook"]) == (0, "", "good")
    assert [(each["name"], each["outlook"]) for each in body["registries"]] == [(REGISTRY, "good")]

    tree.write("/etc/containerd/config.toml", "version = 3\n")
    bad = run(*given)
    assert (bad.returncode, bad.stderr) == (1, "")
    assert "RootNotRead" in bad.stdout

    assert run("Harbor_x").returncode == 2
    assert run("--no-such-option").returncode == 2


def test_it_loads_nothing_but_the_standard_library_and_its_own_rooms(tree: HostTree) -> None:
    script = (
        "import sys; from registry_trust.__main__ import run; sys.argv = ['registry-trust', 'doctor', *sys.argv[1:]]\n"
        "try: run()\nexcept SystemExit: pass\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('registry_trust.cli')))"
    )
    command = [sys.executable, "-P", "-S", "-c", script, f"--node-root={tree.path}", "-o", "json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "operator")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)

    assert done.stdout.splitlines()[-2:] == ["__main__ registry_trust", ""]
