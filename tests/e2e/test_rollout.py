"""A rollout on three real nodes: a wrong CA reaches one canary, and a right one every node within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.e2e.pull_loop import on_every_node, pulling, revision
from tests.e2e.three_nodes import SINGLE, ThreeNodes
from tools.authority import Authority
from tools.cluster.waiting import wait_until

CANARY = {"canaries": 1, "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": SINGLE}}}


def test_a_wrong_ca_fails_pulls_on_the_canary_alone_and_it_goes_back(clean: ThreeNodes) -> None:
    clean.sources()
    clean.trust(caRetention="0s", rollout=CANARY)
    on_every_node(clean, "", within=90)
    served = revision(clean)

    with pulling(clean) as seen:
        wait_until(lambda: seen.done >= 3, "pulls go on", within=90)
        clean.secret("harbor-ca", {"ca.crt": Authority.create("a wrong CA").pem})
        clean.wait_for("harbor", "Stalled", reason="CanaryFailed", within=90)
        pulled = seen.done
        wait_until(lambda: seen.done >= pulled + 6, "pulls go on after that", within=90)

    assert [failure for failure in seen.failures if not failure.startswith(f"{SINGLE}:")] == []
    assert revision(clean) == served
    assert clean.condition("harbor", "Accepted")["status"] == "True"
    assert clean.pull(SINGLE) == ""


def test_a_rotation_with_one_canary_is_on_every_node(
    clean: ThreeNodes, record_testsuite_property: Callable[[str, object], None]
) -> None:
    clean.sources()
    clean.trust(caRetention="0s", rollout=CANARY)
    on_every_node(clean, "", within=90)
    before, began = revision(clean), time.monotonic()

    clean.secret("harbor-ca", {"ca.crt": clean.registry.authority.pem + Authority.create("the next CA").pem})
    on_every_node(clean, before, within=90)

    took = time.monotonic() - began
    record_testsuite_property("seconds of a rotation with one canary", round(took, 2))
    assert clean.pull(SINGLE) == ""
