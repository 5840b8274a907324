"""The chart's pods: how they are confined, what they mount, and that each process understands its arguments."""

from __future__ import annotations

import re

import pytest

from registry_trust.agent import options
from registry_trust.agent.host_view import HOSTS, UNITS
from registry_trust.cli.main import operator_command
from registry_trust.core.layout import Layout
from tests.contract.rendering import BOTH, DEFAULTS, EVERYTHING, agent, found, pod, pods, refused

pytestmark = pytest.mark.tools("helm")

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOTS = "etc/ssl/certs"
LITERAL = "/etc/containerd/certs.d:/etc/docker/certs.d"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - a pod's own address, for the kubelet's probes


@BOTH
def test_no_container_has_a_capability_or_a_writable_root(arguments):
    templates = list(pods(arguments))

    assert len(templates) == (3 if arguments else 2)
    for template in templates:
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert not context.get("privileged", False)
            assert "memory" in container["resources"]["limits"]


@BOTH
def test_only_the_agent_is_root_and_mounts_the_host(arguments):
    for template in pods(arguments):
        is_agent = template["metadata"]["labels"]["app.kubernetes.io/component"] == "agent"
        spec = template["spec"]
        (container,) = spec["containers"]
        assert any("hostPath" in volume for volume in spec["volumes"]) == is_agent
        assert (container["securityContext"].get("runAsUser") == 0) == is_agent
        assert (spec["securityContext"].get("runAsNonRoot") is True) != is_agent


def test_the_agent_mounts_exactly_the_roots_the_runtimes_configuration_and_what_pulls_depend_on():
    paths = {v["name"]: v["hostPath"] for v in pod("DaemonSet", "registry-trust-agent")["volumes"] if "hostPath" in v}
    mounts = {
        paths[mount["name"]]["path"]: (mount["mountPath"], mount.get("readOnly", False))
        for mount in agent()["volumeMounts"]
        if mount["name"] in paths
    }

    assert mounts == {
        "/etc/docker/certs.d": ("/host/root/etc/docker/certs.d", False),
        "/etc/containers/certs.d": ("/host/root/etc/containers/certs.d", False),
        "/etc/containerd/certs.d": ("/host/root/etc/containerd/certs.d", False),
        LITERAL: ("/host/root/etc/containerd/certs.d+/etc/docker/certs.d", False),
        "/etc/containerd": ("/host/config/etc/containerd", True),
        "/etc/docker": ("/host/config/etc/docker", True),
        "/etc/containers": ("/host/config/etc/containers", True),
        "/run/systemd/units": ("/host/systemd/run/systemd/units", True),
        "/etc/hosts": ("/host/view/etc/hosts", True),
        "/etc/ssl/certs": ("/host/view/etc/ssl/certs", True),
        "/etc/systemd/system": ("/host/view/etc/systemd/system", True),
    }
    assert {path["type"] for path in paths.values() if path["path"] != "/etc/hosts"} == {"DirectoryOrCreate"}
    assert len(agent()["volumeMounts"]) == len(paths) + 1, "and the token"


def test_systemds_links_are_not_mounted_where_nobody_wants_them():
    without = ("--set", "agent.systemdUnits=")

    assert not [mount for mount in agent(without)["volumeMounts"] if "/run/systemd" in mount["mountPath"]]
    assert not [
        volume
        for volume in pod("DaemonSet", "registry-trust-agent", without)["volumes"]
        if volume["name"] == "systemd-units"
    ]
    assert not [text for text in agent(without)["args"] if text.startswith("--systemd-units")]


@BOTH
def test_no_path_in_a_container_has_a_colon_which_kubernetes_refuses(arguments):
    for template in pods(arguments):
        for container in template["spec"]["containers"]:
            assert not [mount for mount in container["volumeMounts"] if ":" in mount["mountPath"]]


@BOTH
def test_the_agent_understands_its_arguments_and_finds_its_mounts_by_them(arguments):
    assert agent(arguments)["command"] == ["python3", "-I", "-m", "registry_trust.agent"]
    given = [text.replace("$(KUBERNETES_SERVICE_PORT)", "443") for text in agent(arguments)["args"]]
    understood = options.parse(given)
    mounted = {m["mountPath"] for m in agent(arguments)["volumeMounts"]} - {TOKEN}

    units = understood.systemd_units
    assert units is not None
    view = {f"{understood.host_view}/{path}" for path in (HOSTS, ROOTS, UNITS)} if understood.host_view else set()
    assert {mount.here for mount in (*understood.roots, *understood.configurations, units)} | view == mounted
    assert bool(view) is (arguments == DEFAULTS), "all values switch verification off"
    assert understood.bundle == found("Secret", "registry-trust-bundle", arguments)["metadata"]["name"]
    assert understood.token_file == f"{TOKEN}/token"
    assert understood.listen == (ANY_ADDRESS, 8080)
    expected = (options.ExplicitTarget(Layout.DOCKER, "/etc/docker/certs.d"),) if arguments else ()
    assert understood.targets == expected


@pytest.mark.parametrize(("arguments", "warning", "limit"), [(DEFAULTS, "720h", "320Ki"), (EVERYTHING, "336h", "64Ki")])
def test_the_operator_understands_its_arguments_and_is_told_when_to_warn(arguments, warning, limit):
    (container,) = pod("Deployment", "registry-trust-operator", arguments)["containers"]
    name, *given = container["args"]

    with operator_command.make_context(name, given) as context:
        assert context.params["expiry_warning"] == warning
        assert context.params["trust_limit"] == limit


def test_a_target_that_is_mounted_nowhere_is_refused():
    message = refused("--set-json", 'agent.targets=[{"layout":"docker","path":"/srv/certs.d"}]')

    assert 'agent.targets: "/srv/certs.d" is mounted nowhere; add it to agent.extraRoots' in message


def test_an_agent_runs_on_every_node_and_is_the_last_to_be_evicted():
    spec = found("DaemonSet", "registry-trust-agent")["spec"]

    assert spec["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert spec["template"]["spec"]["priorityClassName"] == "system-node-critical"
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "10%"}


@BOTH
def test_tokens_are_asked_for_by_the_hour_because_the_automatic_one_is_good_for_a_year(arguments):
    for template in pods(arguments):
        (token,) = (
            source["serviceAccountToken"]
            for volume in template["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
            if "serviceAccountToken" in source
        )
        assert token["expirationSeconds"] == 3600


@BOTH
def test_probes_ask_the_process_itself(arguments):
    for kind, name in (("Deployment", "registry-trust-operator"), ("DaemonSet", "registry-trust-agent")):
        (container,) = pod(kind, name, arguments)["containers"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


@BOTH
def test_both_processes_have_one_image_with_a_fixed_tag_or_digest(arguments):
    images = {container["image"] for template in pods(arguments) for container in template["spec"]["containers"]}

    (image,) = images
    assert re.search(r":\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$", image)


def test_selinux_is_by_value():
    assert "seLinuxOptions" not in pod("DaemonSet", "registry-trust-agent")["securityContext"]
    context = pod("DaemonSet", "registry-trust-agent", EVERYTHING)["securityContext"]
    assert context["seLinuxOptions"] == {"type": "spc_t"}
