"""Images: which registries the pods of manifests pull from, and which of them no trust names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from registry_trust.cli.documents import Document, children
from registry_trust.cli.linting.places import ManifestPlace, place_of
from registry_trust.core.layout import DOCKER_HUB

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One `image` of a container, and its registry as references are read."""

    text: str
    registry: str
    place: ManifestPlace


def registry_of(reference: str) -> str:
    """Return the registry of an image reference.

    What stands before the first slash is a registry if it has a dot, a colon or an upper case letter, or is
    `localhost`; anything else is a repository on Docker Hub (distribution/reference 0.6.0, `splitDockerDomain`).
    """
    first, slash, _ = reference.partition("/")
    if slash and (any(each in first for each in ".:") or first == "localhost" or first != first.lower()):
        return DOCKER_HUB if first in {"index.docker.io", DOCKER_HUB} else first
    return DOCKER_HUB


def images_in(documents: Sequence[Document]) -> Iterator[ImageReference]:
    """Yield the image of every container, wherever a pod is described: pods, workloads, and kinds of other projects."""
    for document in documents:
        base = place_of(document)
        for node in _images(document.node):
            mark = node.start_mark
            yield ImageReference(
                node.value, registry_of(node.value), ManifestPlace(base.file, mark.line + 1, mark.column + 1)
            )


def _images(top: yaml.Node) -> Iterator[yaml.ScalarNode]:
    waiting, seen = [top], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue  # An alias: its text is in the file once.
        seen.add(id(node))
        inside = children(node)
        for name in CONTAINERS if isinstance(node, yaml.MappingNode) else ():
            for container in children(inside[name]).values() if name in inside else ():
                image = children(container).get("image")
                if isinstance(image, yaml.ScalarNode) and image.tag.endswith(":str") and image.value:
                    yield image
        waiting += reversed(inside.values())


def spelled_otherwise(registry: str, named: Mapping[str, str]) -> str | None:
    """Return the registry of a trust that is this one in another spelling: another case, or with or without `:443`.

    Args:
        registry: one that no trust names.
        named: the registries of all trusts, by `spelling`.
    """
    return named.get(spelling(registry))


def spelling(registry: str) -> str:
    """Return what all spellings of a registry have in common. Runtimes look for a directory of the exact name."""
    return registry.lower().removesuffix(":443")
