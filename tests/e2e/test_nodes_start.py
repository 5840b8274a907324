"""Real nodes start, run pods, boot again, and leave nothing behind."""

from pathlib import Path

import pytest

from tools.cluster import marked_processes
from tools.cluster.cluster import Cluster
from tools.cluster.node_files import PAUSE_IMAGE, NodeOptions
from tools.cluster.waiting import wait_until

pytestmark = pytest.mark.tools("cluster")


def daemon_set() -> dict[str, object]:
    """One pod per node, each with the node's /etc/docker/certs.d."""
    container = {
        "name": "pause",
        "image": PAUSE_IMAGE,
        "imagePullPolicy": "Never",
        "volumeMounts": [{"name": "root", "mountPath": "/root"}],
    }
    root = {"name": "root", "hostPath": {"path": "/etc/docker/certs.d", "type": "DirectoryOrCreate"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "pause", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "pause"}},
            "template": {
                "metadata": {"labels": {"app": "pause"}},
                "spec": {"containers": [container], "volumes": [root], "tolerations": [{"operator": "Exists"}]},
            },
        },
    }


def traces(name: str) -> list[str]:
    """What there is of a run outside its folder: processes, namespaces, cgroups."""
    found = [f"process {number}" for number in marked_processes.marked(marked_processes.RUN, name)]
    for folder in (Path("/run/netns"), Path("/sys/fs/cgroup")):
        found += [str(path) for path in folder.glob(f"**/{name}*")]
    return found


def test_pods_run_on_every_node_and_down_leaves_nothing() -> None:
    with Cluster([NodeOptions(), NodeOptions(config_path=None)]) as cluster:
        name = cluster.run.name
        cluster.kubectl.apply(daemon_set())

        def ready() -> bool:
            status = cluster.kubectl.get("daemonset", "pause")["status"]
            return bool(status.get("numberReady") == 2)

        wait_until(ready, "a pod runs on both nodes", within=90, every=0.3)
        assert all(node.path("/etc/docker/certs.d").is_dir() for node in cluster.nodes)
        assert not Path("/etc/docker/certs.d").is_mount()

        node = cluster.nodes[0]
        node.stop(crash=True)
        assert marked_processes.marked(marked_processes.NODE, node.identity.cgroup) == []
        node.start()
        node.wait_until_ready()
        wait_until(ready, "a pod runs on both nodes again", within=90, every=0.3)
        assert traces(name)
    assert traces(name) == []
    assert not cluster.run.folder.exists()
