"""Targets: which roots an agent writes, and what it says of those that the runtime does not read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from registry_trust.agent.options import ExplicitTarget
from registry_trust.agent.runtime.candidates import Candidate
from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration
from registry_trust.agent.runtime.containerd.runtime import Containerd
from registry_trust.agent.runtime.crio.runtime import CHAIN
from registry_trust.agent.runtime.dockerd.daemon_json import DockerConfiguration
from registry_trust.agent.runtime.dockerd.runtime import Dockerd
from registry_trust.agent.runtime.facts import Facts
from registry_trust.agent.runtime.node import MountedRoot, NodeRuntime
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce
from registry_trust.agent.runtime.targets import choose
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.observed import Target
from registry_trust.core.report import TargetRow
from tests.rows import reason_of

DOCKER, CONTAINERD, CONTAINERS = "/etc/docker/certs.d", "/etc/containerd/certs.d", "/etc/containers/certs.d"
LITERAL = f"{CONTAINERD}:{DOCKER}"
ALL = (DOCKER, CONTAINERS, CONTAINERD, LITERAL)
"""What the chart mounts."""


def configuration(path: str = "", *, local_pull: bool = False, mirrors: bool = False) -> ContainerdConfiguration:
    return ContainerdConfiguration(
        "/etc/containerd/config.toml", present=True, version=3, config_path=path, local_pull=local_pull, mirrors=mirrors
    )


def roots(*paths: str, written: tuple[str, ...] = ()) -> tuple[MountedRoot, ...]:
    return tuple(MountedRoot(path, (1, number), path in written) for number, path in enumerate(paths))


def facts_of(
    mounted: tuple[MountedRoot, ...],
    containerd: ContainerdConfiguration | str | None = None,
    *,
    in_force: InForce = IN_FORCE,
    docker: DockerConfiguration | None = None,
    **node: Any,
) -> Facts:
    return Facts(NodeRuntime(mounted, **node), Containerd(containerd, in_force), Dockerd(docker))


def rows(choice: tuple[Candidate, ...]) -> list[TargetRow]:
    return [candidate.row for candidate in choice]


def targets(choice: tuple[Candidate, ...]) -> tuple[Target, ...]:
    return tuple(candidate.target for candidate in choice if candidate.target is not None)


def states(choice: tuple[Candidate, ...]) -> list[tuple[str, str, str, str]]:
    return [(row.path, row.layout, row.state.value, reason_of(row)) for row in rows(choice)]


@pytest.mark.parametrize(
    ("runtime", "containerd", "expected"),
    [
        ("containerd://1.7.34", configuration(CONTAINERD), [(CONTAINERD, "containerd", "Read", "")]),
        ("containerd://2.4.2", configuration(CONTAINERD), [(CONTAINERD, "containerd", "Read", "")]),
        ("containerd://2.4.2", configuration(f"{CONTAINERD}/"), [(CONTAINERD, "containerd", "Read", "")]),
        ("containerd://1.7.34", configuration(LITERAL), [(CONTAINERD, "containerd", "Read", "")]),
        ("containerd://2.0.11", configuration(LITERAL), [(CONTAINERD, "containerd", "Read", "")]),
        ("containerd://2.4.2", configuration(LITERAL, local_pull=True), [(CONTAINERD, "containerd", "Read", "")]),
        ("containerd://1.7.34", configuration(DOCKER), [(DOCKER, "docker", "Read", "")]),
        (
            "containerd://2.4.2",
            configuration(),
            [(LITERAL, "containerd", "Read", ""), (CONTAINERD, "containerd", "Standby", "")],
        ),
        (
            "containerd://2.1.9",
            configuration(LITERAL),
            [(LITERAL, "containerd", "Read", ""), (CONTAINERD, "containerd", "Standby", "")],
        ),
        ("containerd://2.1.9", configuration(), [(CONTAINERD, "containerd", "NotRead", "RootNotRead")]),
        ("containerd://1.7.34", configuration(), [(CONTAINERD, "containerd", "NotRead", "RootNotRead")]),
        ("containerd://2.4.2", configuration(mirrors=True), [(CONTAINERD, "containerd", "NotRead", "RootNotRead")]),
        ("containerd://2.4.2", configuration("/elsewhere"), [("/elsewhere", "containerd", "NotRead", "RootNotRead")]),
        (
            "containerd://2.4.2",
            configuration(CONTAINERD, mirrors=True),
            [(CONTAINERD, "containerd", "Unknown", "RuntimeUnknown")],
        ),
        ("containerd://2.4.2", "config.toml is bad", [(CONTAINERD, "containerd", "Unknown", "RuntimeUnknown")]),
        ("containerd://2.4.2", None, [(CONTAINERD, "containerd", "Unknown", "RuntimeUnknown")]),
        ("docker://27.5.1", None, [(DOCKER, "docker", "Read", "")]),
        ("cri-o://1.34.0", None, [(CONTAINERS, "containers", "Read", "")]),
        ("fancy://1.0", None, [(CONTAINERD, "containerd", "Unknown", "RuntimeUnknown")]),
        ("", None, [(CONTAINERD, "containerd", "Unknown", "RuntimeUnknown")]),
    ],
)
def test_what_the_runtime_reads_is_written(
    runtime: str, containerd: ContainerdConfiguration | str | None, expected: list[tuple[str, str, str, str]]
) -> None:
    choice = choose(facts_of(roots(*ALL), runtime=runtime, containerd=containerd))

    assert states(choice) == expected
    written = {path for path, _, state, _ in expected if state in ("Read", "Standby")}
    assert {target.path for target in targets(choice)} == written


def test_the_chain_is_the_whole_list_of_the_reader() -> None:
    split = choose(facts_of(roots(*ALL), runtime="containerd://1.7.34", containerd=configuration(LITERAL)))
    readers = (Reader.CONTAINERD,)
    assert targets(split) == (Target(CONTAINERD, Layout.CONTAINERD, (CONTAINERD, DOCKER), readers=readers),)

    literal = choose(facts_of(roots(*ALL), runtime="containerd://2.4.2", containerd=configuration()))
    assert targets(literal) == (
        Target(LITERAL, Layout.CONTAINERD, (LITERAL,)),
        Target(CONTAINERD, Layout.CONTAINERD, (CONTAINERD, DOCKER), standby=True, readers=readers),
    )

    assert targets(choose(facts_of(roots(*ALL), runtime="cri-o://1.34.0")))[0].chain == CHAIN


def test_a_list_goes_to_the_first_root_that_is_mounted_and_says_what_comes_before() -> None:
    choice = choose(facts_of(roots(DOCKER), runtime="containerd://1.7.34", containerd=configuration(LITERAL)))

    assert targets(choice) == (Target(DOCKER, Layout.DOCKER, (CONTAINERD, DOCKER), readers=(Reader.CONTAINERD,)),)
    assert rows(choice)[0].message == f"{CONTAINERD} is not mounted into the agent, and what is there is read first"


def test_the_literal_folder_that_is_not_mounted_is_not_read_and_the_standby_does_not_hide_it() -> None:
    choice = choose(facts_of(roots(CONTAINERD), runtime="containerd://2.4.2", containerd=configuration()))

    assert states(choice) == [
        (CONTAINERD, "containerd", "Standby", ""),
        (LITERAL, "containerd", "NotRead", "RootNotRead"),
    ]


def test_a_folder_that_nobody_mounts_comes_with_both_cures() -> None:
    choice = choose(facts_of(roots(*ALL), runtime="containerd://2.4.2", containerd=configuration("/elsewhere")))

    message = rows(choice)[0].message
    assert "containerd reads /elsewhere (config_path, /etc/containerd/config.toml), which is not mounted" in message
    assert "agent.extraRoots" in message
    assert '[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "/etc/containerd/certs.d"' in message
    assert message.endswith("systemctl restart containerd")
    assert len(message) <= 1024, "the report would cut it"


@pytest.mark.parametrize(("runtime", "root"), [("docker://27.5.1", DOCKER), ("cri-o://1.34.0", CONTAINERS)])
def test_a_root_that_is_read_and_not_mounted_is_said(runtime: str, root: str) -> None:
    choice = choose(facts_of(roots(CONTAINERD), runtime=runtime))

    assert [(row.path, row.state.value, reason_of(row)) for row in rows(choice)] == [(root, "NotRead", "RootNotRead")]
    assert targets(choice) == ()


def test_an_explicit_target_is_always_written() -> None:
    facts = facts_of(
        roots("/srv/certs.d", *ALL),
        explicit=(ExplicitTarget(Layout.DOCKER, "/srv/certs.d"),),
        runtime="containerd://2.4.2",
        containerd="config.toml is bad",
    )

    choice = choose(facts)

    assert [target.path for target in targets(choice)] == ["/srv/certs.d"]
    assert states(choice)[0] == ("/srv/certs.d", "docker", "Read", "")
    assert states(choice)[1][2] == "Unknown", "the runtime's own root is still not known"


def test_a_target_of_dockerd_has_its_readers_also_beside_another_runtime() -> None:
    readers = (Reader.DOCKERD_CONTAINERD,)
    docker = DockerConfiguration("/etc/docker/daemon.json", containerd_store=True)
    explicit = (ExplicitTarget(Layout.DOCKER, DOCKER), ExplicitTarget(Layout.CONTAINERS, CONTAINERS))

    found = choose(facts_of(roots(*ALL), explicit=explicit, discover=False, docker=docker))
    own = choose(facts_of(roots(*ALL), runtime="docker://29.7.2", docker=docker))

    assert [target.readers for target in targets(found)] == [readers, ()]
    assert [target.readers for target in targets(own)] == [readers]


def test_an_explicit_target_that_the_runtime_reads_as_well_is_looked_at_with_the_eyes_of_both() -> None:
    facts = facts_of(
        roots(*ALL),
        explicit=(ExplicitTarget(Layout.DOCKER, DOCKER),),
        runtime="containerd://2.4.2",
        containerd=configuration(DOCKER),
    )

    assert targets(choose(facts)) == (Target(DOCKER, Layout.DOCKER, (DOCKER,), readers=(Reader.CONTAINERD,)),)


def test_without_discovery_the_explicit_targets_are_all() -> None:
    facts = facts_of(roots(DOCKER), explicit=(ExplicitTarget(Layout.DOCKER, DOCKER),), discover=False)

    assert states(choose(facts)) == [(DOCKER, "docker", "Read", "")]


def test_one_directory_under_two_paths_is_written_once() -> None:
    same = (MountedRoot(DOCKER, (1, 1)), MountedRoot("/srv/certs.d", (1, 1)))
    explicit = tuple(ExplicitTarget(Layout.DOCKER, root.path) for root in same)

    choice = choose(facts_of(same, explicit=explicit, discover=False))

    assert [target.path for target in targets(choice)] == [DOCKER]


def test_two_layouts_on_one_directory_are_an_error() -> None:
    explicit = (ExplicitTarget(Layout.DOCKER, DOCKER), ExplicitTarget(Layout.CONTAINERD, DOCKER))

    choice = choose(facts_of(roots(DOCKER), explicit=explicit, discover=False))

    assert states(choice) == [(DOCKER, "docker", "Failed", "ContestedRoot")]
    assert len(targets(choice)) == 1


def test_a_root_that_holds_our_files_and_is_not_read_any_more_is_kept_up_to_date() -> None:
    facts = facts_of(
        roots(*ALL, written=(CONTAINERD,)), runtime="containerd://2.4.2", containerd=configuration("/elsewhere")
    )

    choice = choose(facts)

    assert [(target.path, target.standby) for target in targets(choice)] == [(CONTAINERD, True)]
    assert {(row.path, row.state.value) for row in rows(choice)} == {(CONTAINERD, "Standby"), ("/elsewhere", "NotRead")}


@pytest.mark.parametrize(
    ("containerd", "state"), [("config.toml is bad", "Unknown"), (configuration(mirrors=True), "NotRead")]
)
def test_a_root_that_is_kept_up_to_date_is_still_not_said_to_be_read(
    containerd: ContainerdConfiguration | str, state: str
) -> None:
    facts = facts_of(roots(*ALL, written=(CONTAINERD,)), runtime="containerd://2.4.2", containerd=containerd)

    choice = choose(facts)

    assert [(target.path, target.standby) for target in targets(choice)] == [(CONTAINERD, True)]
    assert [(row.path, row.state.value) for row in rows(choice)] == [(CONTAINERD, state)]


def test_openshift_keeps_its_own_root() -> None:
    facts = facts_of(
        roots(*ALL), explicit=(ExplicitTarget(Layout.DOCKER, DOCKER),), runtime="cri-o://1.34.0", openshift=True
    )

    choice = choose(facts)

    assert [target.path for target in targets(choice)] == [CONTAINERS]
    assert (DOCKER, "docker", "Failed", "ContestedRoot") in states(choice)


def test_nothing_to_write_is_said() -> None:
    choice = choose(facts_of(roots(DOCKER), discover=False))

    assert [(row.state.value, reason_of(row)) for row in rows(choice)] == [("NotRead", "NoTarget")]


@pytest.mark.parametrize("config_path", [CONTAINERD, LITERAL])
def test_what_containerd_reads_only_after_a_restart_is_written_and_not_said_to_be_read(config_path: str) -> None:
    in_force = InForce(problem="containerd was not restarted")

    choice = choose(
        facts_of(
            roots(*ALL),
            runtime="containerd://2.4.2",
            containerd=configuration(config_path),
            in_force=in_force,
        )
    )

    assert config_path in {target.path for target in targets(choice)}
    assert states(choice)[0] == (config_path, "containerd", "Unknown", "RuntimeNotRestarted")
    assert rows(choice)[0].message == "containerd was not restarted"


def test_a_change_without_a_witness_of_the_restart_is_a_remark() -> None:
    in_force = InForce(remark="was it restarted?")
    facts = facts_of(roots(*ALL), runtime="containerd://2.4.2", containerd=configuration(CONTAINERD), in_force=in_force)

    assert [(row.state.value, row.message) for row in rows(choose(facts))] == [("Read", "was it restarted?")]


@pytest.mark.parametrize("runtime", ["cri-o://1.34.0", "containerd://2.4.2"])
def test_roots_of_containers_image_that_come_first_and_can_not_be_seen_are_said(runtime: str) -> None:
    facts = facts_of(
        roots(CONTAINERS),
        explicit=(ExplicitTarget(Layout.CONTAINERS, CONTAINERS),) if runtime.startswith("containerd") else (),
        runtime=runtime,
        containerd=configuration(CONTAINERD),
    )
    remark = "/etc/containers/certs.rootful.d is not mounted into the agent, and what is there is read first"

    choice = choose(facts)
    assert targets(choice)[0].chain == CHAIN
    assert rows(choice)[0].message.endswith(remark)
    seen = choose(replace(facts, node=replace(facts.node, folders=("/etc/containers",))))
    assert remark not in rows(seen)[0].message
