"""Another installation: the ClusterRoleBinding names one, and every operator comes to the same answer."""

from __future__ import annotations

from typing import Any

import pytest

from registry_trust.controller.other_installation import other_namespace


def subject(namespace: str, name: str = "registry-trust-operator", kind: str = "ServiceAccount") -> dict[str, Any]:
    return {"kind": kind, "name": name, "namespace": namespace}


@pytest.mark.parametrize(
    ("subjects", "seen_from_a", "seen_from_b"),
    [
        ([subject("a")], "", "a"),
        ([subject("a"), subject("b")], "", "a"),
        ([subject("b"), subject("a")], "b", ""),
        ([subject("x", name="an-admin"), subject("x", kind="User"), subject("b")], "b", ""),
        ([], "", ""),
        (None, "", ""),
    ],
)
def test_the_first_installation_that_is_named_has_the_cluster(
    subjects: list[dict[str, Any]] | None, seen_from_a: str, seen_from_b: str
) -> None:
    binding = {"subjects": subjects}

    assert (other_namespace(binding, "a"), other_namespace(binding, "b")) == (seen_from_a, seen_from_b)
