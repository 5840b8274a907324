"""Watching: what kopf is told to do with the objects that it hands over."""

from __future__ import annotations

from typing import Any

import kopf

from registry_trust.controller.watching import make_settings


class Uncopied(dict[str, Any]):
    """What nobody may copy: a Secret's data, or thousands of reports."""

    def __deepcopy__(self, memo: object) -> Uncopied:
        raise AssertionError("it was copied")


def test_kopf_copies_nothing_of_an_object_and_writes_nothing_into_it() -> None:
    storage, patch = make_settings().persistence.diffbase_storage, kopf.Patch()
    body: Any = kopf.Body({"metadata": {"labels": Uncopied()}, "data": Uncopied(key="secret")})  # type: ignore[arg-type]

    essence = storage.build(body=body)
    storage.store(body=body, patch=patch, essence=essence)

    assert essence == {}
    assert storage.fetch(body=body) is None
    assert not patch
