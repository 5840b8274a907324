"""containerd on this node: which of the mounted roots its CRI plugin reads, and the lines to add where it reads none.

By the rules of containerd 1.6 to 2.4, as `configuration` has them from the files.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from registry_trust.agent.runtime import candidates
from registry_trust.agent.runtime.candidates import CONTAINERD_ROOT, Candidate, not_mounted, not_read, usual_layout
from registry_trust.agent.runtime.containerd.configuration import (
    ContainerdConfiguration,
    effective_path,
    splits_list,
)
from registry_trust.agent.runtime.containerd.fix import fix
from registry_trust.agent.runtime.node import NodeRuntime, Version
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.observed import Target
from registry_trust.core.text import escape, listing

_NOT_MOUNTED = (
    "the directory with containerd's configuration is not mounted into the agent (--runtime-config, by default "
    "/etc/containerd; distributions have other places); so it is not known what containerd reads"
)


@dataclass(frozen=True, slots=True)
class Containerd:
    """What is known of this node's containerd.

    Attributes:
        configuration: a text where it can't be read, None where no file of it is mounted.
        in_force: whether containerd has started since its configuration was changed.
    """

    configuration: ContainerdConfiguration | str | None = None
    in_force: InForce = IN_FORCE

    def candidates(self, node: NodeRuntime, version: Version) -> tuple[Candidate, ...]:
        """Return the roots that the CRI plugin of this version reads, or would read."""
        if not isinstance(self.configuration, ContainerdConfiguration):
            return (candidates.unknown(self.configuration or _NOT_MOUNTED),)
        return _Choice(node, self.configuration, version, self.in_force).candidates()


@dataclass(frozen=True, slots=True)
class _Choice:
    """The choice of roots for a containerd whose configuration is known."""

    node: NodeRuntime
    configuration: ContainerdConfiguration
    version: Version
    in_force: InForce

    def candidates(self) -> tuple[Candidate, ...]:
        configuration = self.configuration
        path = effective_path(configuration, self.version)
        if not path:
            return (self._nothing_read(),)
        refusal = configuration.refusal()
        if refusal:
            return (
                candidates.unknown(
                    f"{configuration.path} and its imports set both {refusal} and config_path, and containerd's CRI "
                    f"plugin does not load with both; move what {refusal} says into a RegistryTrust or a hosts.toml "
                    "file, remove it, then once: systemctl restart containerd"
                ),
            )
        parts = tuple(dict.fromkeys(posixpath.normpath(part) for part in path.split(":") if part))
        if not parts:
            gist = f'{configuration.path} sets config_path = "{escape(path)}", which names no directory'
            return (candidates.unknown(gist),)
        if len(parts) == 1 or splits_list(configuration, self.version):
            return (self._one_of(parts),)
        return self._literal(posixpath.normpath(path), parts)

    def _one_of(self, parts: tuple[str, ...]) -> Candidate:
        for path in parts:
            if self.node.mounted(path):
                target = Target(path, usual_layout(path), parts, readers=(Reader.CONTAINERD,))
                return candidates.read(target, self.node.unseen_before(path, parts), in_force=self.in_force)
        gist = f"containerd reads {' and '.join(parts)} (config_path, {self.configuration.path})"
        return not_mounted(parts[0], Layout.CONTAINERD, gist, self._or_point_it())

    def _literal(self, path: str, parts: tuple[str, ...]) -> tuple[Candidate, ...]:
        """Serve a list that containerd takes for one directory: that directory, and the first of the list for later."""
        if self.node.mounted(path):
            remark = f"containerd {self._number()} takes the list in config_path for the name of one directory"
            literal = candidates.read(Target(path, Layout.CONTAINERD, (path,)), remark, in_force=self.in_force)
        else:
            gist = f'containerd {self._number()} takes the list "{path}" for the name of one directory'
            literal = not_mounted(path, Layout.CONTAINERD, gist, self._or_point_it())
        first = next((part for part in parts if self.node.mounted(part)), None)
        if first is None:
            return (literal,)
        target = Target(first, usual_layout(first), parts, readers=(Reader.CONTAINERD,))
        return literal, candidates.standby(target, "prepared for a containerd that splits the list in config_path")

    def _nothing_read(self) -> Candidate:
        root, configuration = self._preferred_root(), self.configuration
        first = f"containerd {self._number()} reads no certificate directory while config_path is empty"
        if configuration.mirrors:
            gist = (
                f"containerd {self._number()} reads no certificate directory while {configuration.path} or an import "
                "sets registry.mirrors; move the mirrors to hosts.toml files, remove that table, and in the same edit "
                "add"
            )
        elif configuration.tls_hosts:
            hosts = listing([escape(each) for each in configuration.tls_hosts], 3)
            gist = (
                f"{first}. registry.configs.*.tls is set for {hosts}, and with both its CRI plugin does not load: "
                "put those CAs and client certificates into a RegistryTrust first, then remove these tls settings, "
                "and in the same edit add"
            )
        elif configuration.ignored_path:
            gist = (
                f'containerd {self._number()} ignores config_path = "{escape(configuration.ignored_path)}", which is '
                "in a section of another version's format, or in one that a later file replaces; it reads no "
                "certificate directory; add"
            )
        else:
            gist = f"{first}; add"
        cure = fix(configuration, self.version, root)
        message = f"{gist}:\n{cure}" if cure else f'{gist} config_path = "{root}" by the rules of these files'
        return not_read(root, Layout.CONTAINERD, message)

    def _or_point_it(self) -> str:
        root = self._preferred_root()
        cure = fix(self.configuration, self.version, root) if self.node.mounted(root) else ""
        return f"; or point containerd to a root that is mounted:\n{cure}" if cure else ""

    def _preferred_root(self) -> str:
        if self.node.mounted(CONTAINERD_ROOT):
            return CONTAINERD_ROOT
        usable = (
            root.path
            for root in self.node.roots
            if usual_layout(root.path) is Layout.CONTAINERD and ":" not in root.path
        )
        return next(usable, CONTAINERD_ROOT)

    def _number(self) -> str:
        return ".".join(str(part) for part in self.version)
