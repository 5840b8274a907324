"""A shape: what containerd's part of a node looks like in one distribution, and what is to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CONFIG = "/etc/containerd/config.toml"
ROOT = "/etc/containerd/certs.d"
LITERAL = "/etc/containerd/certs.d:/etc/docker/certs.d"
"""The list that containerd from 2.1 on takes for the name of one directory."""

DEFAULT = "what `containerd config default` prints"
"""Stands for a file's text: that of the containerd that is tried."""


class Start(StrEnum):
    """What a distribution does to its files whenever it starts containerd."""

    NOTHING = "nothing"
    TEMPLATE = "template"
    """k3s, RKE2: the main file is made of the template beside it, or of their own one."""
    SNAP = "snap"
    """MicroK8s: the main file is made of the template beside it, with the snap's variables filled in."""
    MERGE = "merge"
    """k0s up to 1.35: its own CRI section and what drop-ins say of it become one file in /run/k0s."""
    SPECIFICATION = "specification"
    """kOps: the main file is made of the cluster's specification."""


@dataclass(frozen=True)
class Shape:
    """One distribution's node.

    Attributes:
        name: the distribution's.
        about: which of its releases or settings write such files.
        containerd: the versions that are tried with it, by the names in `containerd_oracle.VERSIONS`.
        files: texts by path on the host; `DEFAULT` stands for containerd's own.
        reads: the certificate directory that containerd reads without any change; empty for none.
        source: where the files' keys were read: repository, path and release or commit; empty: as for the row before.
        main: the file with which containerd is started.
        settings: the chart's values that the page gives for it; the key of `settings.SETTINGS`.
        start: what its start does to the files.
        links: symbolic links on the host, path to relative target.
        build: what follows containerd's version in the Node's status.
        os_image: the operating system in the Node's status.
        note: what else the page says of it, a sentence.
        runtime: the runtime in the Node's status, if it is not containerd.
        labels: the Node's.
        kubelet: the kubelet's version in the Node's status.
    """

    name: str
    about: str
    containerd: tuple[str, ...]
    files: Mapping[str, str]
    reads: str
    source: str
    main: str = CONFIG
    settings: str = ""
    start: Start = Start.NOTHING
    links: Mapping[str, str] = field(default_factory=dict)
    build: str = ""
    os_image: str = ""
    note: str = ""
    runtime: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    kubelet: str = "v1.34.1"
