"""The host's view: the host's own table of names comes first, and a proxy in any unit is never overlooked."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_trust.agent.host_view import HOSTS, UNITS, addresses, environment
from registry_trust.agent.probe.network import Unreachable
from registry_trust.agent.probe.system_roots import system_roots
from registry_trust.agent.verifier import EVERY, FIRST_PAUSE, LONGEST_PAUSE, pause_after
from tools.pki import root

NAME = f"{'r' * 64}.invalid"  # No resolver is asked about a label of more than 63 characters.


def table(view: Path, text: str) -> None:
    (view / HOSTS).parent.mkdir(parents=True, exist_ok=True)
    (view / HOSTS).write_text(text)


def unit(view: Path, name: str, text: str) -> Path:
    path = view / UNITS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"10.0.0.7 {NAME}\n", ["10.0.0.7"]),
        (f"10.0.0.7\tother {NAME.upper()} # ours\n10.0.0.8 {NAME}", ["10.0.0.7", "10.0.0.8"]),
        (f"fd00::7 {NAME}\n10.0.0.7 {NAME}\n10.0.0.7 {NAME}\n", ["fd00::7", "10.0.0.7"]),
    ],
)
def test_the_hosts_own_table_gives_the_addresses(tmp_path: Path, text: str, expected: list[str]) -> None:
    table(tmp_path, text)

    assert addresses(tmp_path)(NAME, 5000) == [(address, 5000) for address in expected]


@pytest.mark.parametrize(
    "text", ["", f"# 10.0.0.7 {NAME}", f"10.0.0.7 x{NAME}", f"not-an-address {NAME}", NAME, f"10.0.0.300 {NAME}", "\0"]
)
def test_what_the_table_does_not_say_the_resolver_is_asked(tmp_path: Path, text: str) -> None:
    table(tmp_path, text)

    with pytest.raises(Unreachable, match="its name"):
        addresses(tmp_path)(NAME, 5000)


def test_a_table_that_is_a_directory_or_missing_is_none(tmp_path: Path) -> None:
    (tmp_path / HOSTS).mkdir(parents=True)

    for view in (tmp_path, tmp_path / "nowhere", None):
        with pytest.raises(Unreachable):
            addresses(view)(NAME, 5000)


@pytest.mark.parametrize("name", ["containerd.service.d/proxy.conf", "k3s.service.env", "a.service"])
@pytest.mark.parametrize(
    "text", ["[Service]\nEnvironment=HTTPS_PROXY=http://u:p@proxy:3128\n", 'https_proxy="proxy"\n', "  Https_Proxy=x"]
)
def test_a_proxy_in_any_unit_counts_and_its_value_is_not_kept(tmp_path: Path, name: str, text: str) -> None:
    unit(tmp_path, name, text)

    assert list(environment(tmp_path)) == ["HTTPS_PROXY"]
    assert "proxy:3128" not in str(environment(tmp_path))
    assert "u:p" not in str(environment(tmp_path))


def test_a_comment_another_file_and_a_masked_unit_set_no_proxy(tmp_path: Path) -> None:
    unit(tmp_path, "a.service", "[Service]\n# HTTPS_PROXY=x\n ; https_proxy=x\nEnvironment=HTTP_PROXY=x\n")
    unit(tmp_path, "notes.txt", "HTTPS_PROXY=x")
    (tmp_path / UNITS / "masked.service").symlink_to("/dev/null")
    (tmp_path / UNITS / "gone.service").symlink_to("/nowhere")

    assert environment(tmp_path) == {}
    assert environment(tmp_path / "nowhere") == {}
    assert environment(None) == {}


def test_what_cannot_be_seen_may_hold_a_proxy(tmp_path: Path) -> None:
    unit(tmp_path, "large.service", "x" * (1 << 20) + "\n")

    assert list(environment(tmp_path)) == ["HTTPS_PROXY"]


def roots_of(view: Path) -> tuple[bytes, ...] | None:
    return system_roots({}, view, partial=True)


def certs(view: Path, *names: str) -> Path:
    place = view / "etc/ssl/certs"
    place.mkdir(parents=True)
    for name in names:
        (place / name).write_bytes(root().pem)
    return place


def test_the_systems_roots_are_those_of_the_first_bundle_and_of_the_files_beside_it(tmp_path: Path) -> None:
    place = certs(tmp_path, "ca-certificates.crt")
    (place / "own.pem").write_bytes(root(1).pem)
    (place / "root.pem").symlink_to("/usr/share/ca-certificates/mozilla/root.crt")
    (place / "0123abcd.0").symlink_to("root.pem")
    (place / "local.pem").symlink_to("/usr/local/share/ca-certificates/local.crt")

    assert set(roots_of(tmp_path) or ()) == {root().der, root(1).der}


@pytest.mark.parametrize("target", ["/opt/corp/root.pem", "../elsewhere/root.pem", "/etc/pki/tls/certs/x.pem"])
def test_a_link_to_what_is_out_of_sight_means_that_nobody_knows_the_systems_roots(tmp_path: Path, target: str) -> None:
    (certs(tmp_path, "ca-certificates.crt") / "corp.pem").symlink_to(target)

    assert roots_of(tmp_path) is None


def test_without_the_bundle_that_go_takes_first_nobody_knows_the_systems_roots(tmp_path: Path) -> None:
    place = certs(tmp_path, "own.pem")
    assert roots_of(tmp_path) is None

    (place / "ca-certificates.crt").symlink_to("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")
    assert roots_of(tmp_path) is None
    assert roots_of(tmp_path / "nowhere") is None


def test_pauses_grow_from_half_a_minute_to_an_hour_and_six_hours_pass_where_pulls_work() -> None:
    middle = [pause_after(failures, lambda: 0.5) for failures in range(10)]

    assert middle[:3] == [EVERY, FIRST_PAUSE, 2 * FIRST_PAUSE]
    assert middle[-1] == LONGEST_PAUSE
    assert pause_after(100_000, lambda: 0.0) == 0.8 * LONGEST_PAUSE
    assert 1.19 * EVERY < pause_after(0, lambda: 0.999) < 1.2 * EVERY
