"""containerd's targets: which of the mounted roots its CRI plugin reads, and the lines to add where it reads none."""

from __future__ import annotations

import posixpath

from registry_trust.agent.runtime import containerd_config as containerd
from registry_trust.agent.runtime import containerd_fix
from registry_trust.agent.runtime.containerd_config import ContainerdConfiguration
from registry_trust.agent.runtime.facts import CONTAINERD_ROOT, Draft, Facts, usual_layout
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.plan import Target
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetState
from registry_trust.core.text import escape, listing


def say_unknown(draft: Draft, message: str) -> None:
    """Say that it is not known what the runtime reads."""
    draft.say(CONTAINERD_ROOT, Layout.CONTAINERD, TargetState.UNKNOWN, Reason.RUNTIME_UNKNOWN, message)


def say_not_mounted(draft: Draft, path: str, layout: Layout, gist: str, cure: str = "") -> None:
    """Say that a root is read and can't be written from here."""
    message = f"{gist}, which is not mounted into the agent; mount it (chart value agent.extraRoots, option --root)"
    draft.say(path, layout, TargetState.NOT_READ, Reason.ROOT_NOT_READ, f"{message}{cure}")


def choose(facts: Facts, configuration: ContainerdConfiguration, version: containerd.Version, draft: Draft) -> None:
    """Choose what the CRI plugin of this version reads by this configuration."""
    path = containerd.effective_path(configuration, version)
    if not path:
        _nothing_read(facts, configuration, version, draft)
        return
    refusal = configuration.refusal()
    if refusal:
        say_unknown(
            draft,
            f"{configuration.path} and its imports set both {refusal} and config_path, and containerd's CRI plugin does"
            f" not load with both; move what {refusal} says into a RegistryTrust or a hosts.toml file, remove it, then "
            "once: systemctl restart containerd",
        )
        return
    parts = tuple(dict.fromkeys(posixpath.normpath(part) for part in path.split(":") if part))
    if not parts:
        say_unknown(draft, f'{configuration.path} sets config_path = "{escape(path)}", which names no directory')
    elif len(parts) == 1 or containerd.splits_list(configuration, version):
        _one_of(facts, configuration, version, parts, draft)
    else:
        _literal(facts, configuration, version, posixpath.normpath(path), parts, draft)


def _one_of(
    facts: Facts,
    configuration: ContainerdConfiguration,
    version: containerd.Version,
    parts: tuple[str, ...],
    draft: Draft,
) -> None:
    for path in parts:
        if facts.mounted(path):
            target = Target(path, usual_layout(path), parts, readers=(Reader.CONTAINERD,))
            draft.write_if_in_force(target, facts.containerd_in_force, facts.unseen_before(path, parts))
            return
    gist = f"containerd reads {' and '.join(parts)} (config_path, {configuration.path})"
    say_not_mounted(draft, parts[0], Layout.CONTAINERD, gist, _or_point_it(facts, configuration, version))


def _literal(
    facts: Facts,
    configuration: ContainerdConfiguration,
    version: containerd.Version,
    path: str,
    parts: tuple[str, ...],
    draft: Draft,
) -> None:
    """Serve a list that containerd takes for one folder: that folder, and the first of the list for later."""
    number = ".".join(str(part) for part in version)
    if facts.mounted(path):
        remark = f"containerd {number} takes the list in config_path for the name of one folder"
        draft.write_if_in_force(Target(path, Layout.CONTAINERD, (path,)), facts.containerd_in_force, remark)
    else:
        gist = f'containerd {number} takes the list "{path}" for the name of one folder'
        say_not_mounted(draft, path, Layout.CONTAINERD, gist, _or_point_it(facts, configuration, version))
    first = next((part for part in parts if facts.mounted(part)), None)
    if first is not None:
        target = Target(first, usual_layout(first), parts, standby=True, readers=(Reader.CONTAINERD,))
        draft.write(target, TargetState.STANDBY, "for the day containerd splits the list in config_path")


def _nothing_read(
    facts: Facts, configuration: ContainerdConfiguration, version: containerd.Version, draft: Draft
) -> None:
    root = _preferred_root(facts)
    number = ".".join(str(part) for part in version)
    first = f"containerd {number} reads no certificate directory while config_path is empty"
    if configuration.mirrors:
        gist = (
            f"containerd {number} reads no certificate directory while {configuration.path} or an import sets "
            "registry.mirrors; move the mirrors to hosts.toml files, remove that table, and in the same edit add"
        )
    elif configuration.tls_hosts:
        hosts = listing([escape(each) for each in configuration.tls_hosts], 3)
        gist = (
            f"{first}. registry.configs.*.tls is set for {hosts}, and with both its CRI plugin does not load: "
            "put those CAs and client "
            "certificates into a RegistryTrust "
            "first, then remove these tls settings, and in the same edit add"
        )
    elif configuration.ignored_path:
        gist = (
            f'containerd {number} ignores config_path = "{escape(configuration.ignored_path)}", which is in a section '
            "of another version's format, or in one that a later file replaces; it reads no certificate directory; add"
        )
    else:
        gist = f"{first}; add"
    fix = containerd_fix.fix(configuration, version, root)
    message = f"{gist}:\n{fix}" if fix else f'{gist} config_path = "{root}" by the rules of these files'
    draft.say(root, Layout.CONTAINERD, TargetState.NOT_READ, Reason.ROOT_NOT_READ, message)


def _or_point_it(facts: Facts, configuration: ContainerdConfiguration, version: containerd.Version) -> str:
    root = _preferred_root(facts)
    fix = containerd_fix.fix(configuration, version, root) if facts.mounted(root) else ""
    return f"; or point containerd to a root that is mounted:\n{fix}" if fix else ""


def _preferred_root(facts: Facts) -> str:
    if facts.mounted(CONTAINERD_ROOT):
        return CONTAINERD_ROOT
    usable = (r.path for r in facts.roots if usual_layout(r.path) is Layout.CONTAINERD and ":" not in r.path)
    return next(usable, CONTAINERD_ROOT)
