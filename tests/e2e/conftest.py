"""One cluster of three real nodes for all end-to-end tests, with the real image built from the Dockerfile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_trust import __version__
from tests.e2e.three_nodes import ThreeNodes
from tools.cluster import canaries
from tools.cluster.cluster import MIXED, Cluster, what_is_missing
from tools.cluster.images import build_product_image

IMAGE = f"localhost/registry-trust:{__version__}"
"""The chart's default: a name that no runtime looks for anywhere else."""


@pytest.fixture(scope="session")
def bare() -> Iterator[ThreeNodes]:
    """Start three nodes and a registry; registry-trust is not installed yet."""
    if missing := what_is_missing():
        pytest.skip(missing)
    with Cluster(MIXED) as cluster:
        image = build_product_image(cluster.run.folder / "product.tar", IMAGE)
        for node in cluster.nodes:
            node.import_image(image)
        nodes = ThreeNodes(cluster, cluster.add_registry("harbor.corp.test", 5000))
        yield nodes
        canaries.require_none(nodes.shown())


@pytest.fixture(scope="session")
def nodes(bare: ThreeNodes) -> ThreeNodes:
    """Return the three nodes with registry-trust installed from deploy/."""
    bare.install()
    return bare


@pytest.fixture
def clean(nodes: ThreeNodes) -> Iterator[ThreeNodes]:
    """Give the installed nodes to one test, and leave no trust and no file of ours behind it."""
    yield nodes
    nodes.remove_trusts()
