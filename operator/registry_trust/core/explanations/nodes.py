"""Explanations of what can be in the way on a node, and of what can be wrong with the bundle."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.core.explanations.explanation import ON_NODE, ON_TARGET, REFUSED, Explanation, Place
from registry_trust.core.reasons import Reason

_NOTICED = (Place.NOTICE, Place.LOG)
_COUNTED = (Place.FAILING_NODE,)

NODES: Mapping[Reason, Explanation] = {
    Reason.ROOT_NOT_READ: Explanation(
        "The node's runtime does not read the directory that the agent can write to, so even correct files would "
        "have no effect: containerd's `config_path` is empty, names another directory, or is in a section that this "
        "version ignores; or the directory that it names is not mounted into the agent.",
        "Add the lines in the message to the file that it names and restart once, as it says; or mount the directory "
        "that the runtime reads (chart value `agent.extraRoots`). The agent notices either on its own.",
        ON_TARGET,
    ),
    Reason.RUNTIME_UNKNOWN: Explanation(
        "The agent could not find out what the runtime reads: its configuration is not mounted, can't be parsed, "
        "can't work as it is, or the runtime is not known. What is unknown never counts as Ready.",
        "Mount the configuration (chart value `agent.extraRuntimeConfig`, docs/install.md), or name the directory "
        "yourself (`agent.targets`): a target that is named counts as read.",
        ON_TARGET,
    ),
    Reason.RUNTIME_NOT_RESTARTED: Explanation(
        "containerd's configuration was changed after containerd started, and containerd reads it only then: it may "
        "still use the old one and not read what is written. What is unknown never counts as Ready. The time of the "
        "start comes from systemd (`/run/systemd/units`, chart value `agent.systemdUnits`). If systemd does not say, "
        "a change that the agent saw is only a note on the target.",
        "Restart containerd once; pods keep running. The agent notices the restart. A change that does not concern "
        "certificates counts, too, if no agent was there to see it.",
        ON_TARGET,
    ),
    Reason.NO_TARGET: Explanation(
        "There is no directory on this node that the agent can write to.",
        "Set the chart values `agent.roots` and `agent.runtimeConfig`, or `agent.targets`, for this kind of node.",
        ON_TARGET,
    ),
    Reason.CONTESTED_ROOT: Explanation(
        "The directory belongs to another tool that deletes files it does not know (OpenShift's node-ca in "
        "`/etc/docker/certs.d`), or two targets are one directory with two layouts.",
        "Take the directory out of `agent.roots` and `agent.targets`, or name it once.",
        (Place.TARGET, Place.FAILING_NODE, Place.LOG),
    ),
    Reason.OTHER_INSTALLATION: Explanation(
        "Another installation of registry-trust (a second release, or a DaemonSet that was left behind) writes this "
        "directory for its own bundle, and its agent is running. Two would undo each other forever, so this one "
        "waits and changes nothing there.",
        "Remove the installation that you don't want. Uninstalled with cleanup, the directory is free at once. "
        "Otherwise this one takes over 10 minutes after the last agent of the other one has stopped. If you can't "
        "wait, remove `.registry-trust/state.json` in that directory.",
        ON_TARGET,
    ),
    Reason.FOREIGN_FILE: Explanation(
        "Something that registry-trust did not write is where it needs to write, or inside its own directory. It is "
        "left as it is: files of others are never changed.",
        "Check what is there, put its certificates into the trust, and move it away; no restart is needed. `mv "
        "/etc/docker/certs.d/harbor.corp.example:5000 /var/tmp/`. On many nodes: `existingFilesPolicy: Replace` in "
        "the trust puts it aside and keeps it.",
        (*ON_NODE, Place.TARGET, Place.NOTICE),
    ),
    Reason.WOULD_SHADOW: Explanation(
        "Writing the entry would make the runtime stop reading something that it now reads for this registry: "
        "another spelling of the name, a directory that comes later in its order, or a `_default` that can't be taken "
        "along (see [MirrorsCarried](#mirrorscarried)); the message says why. Nothing was written.",
        "Do what the message says; the entry is written at once, without a restart. If the directory holds mirrors for "
        "this one registry, you can keep them instead: take the registry out of the trust, and name the trust's files "
        "in that `hosts.toml` (see [mirrors of your own](install.md#mirrors)).",
        ON_NODE,
    ),
    Reason.MIRRORS_CARRIED: Explanation(
        "Another program (Spegel, k3s or RKE2 with its embedded mirror, an admin) has a `_default` directory, which "
        "containerd reads only for registries without a directory of their own. The entry repeats what it says, "
        "with the trust's certificates added, and follows it within a second. This is informational.",
        "Nothing. To change the mirrors, change `_default`.",
        (Place.ROW,),
    ),
    Reason.MIRRORS_NOT_FOLLOWED: Explanation(
        "The entry is in place, but the `_default` directory of another program can't be read or taken along as it is "
        "now. The entry keeps what it took along before, if anything.",
        "Do what the end of the message says; the entry follows at once.",
        (Place.ROW,),
    ),
    Reason.EXISTING_FILES_REPLACED: Explanation(
        "`existingFilesPolicy: Replace`: the entry is in place, and what was there before, or what it hides, is "
        "kept. This is informational, so you know where those files went.",
        "Nothing. You may remove what is kept once nobody needs it; then nothing is put back.",
        (Place.ROW, Place.NOTICE),
    ),
    Reason.REPLACE_UNSUPPORTED: Explanation(
        "`existingFilesPolicy: Replace` is set, but the file system can't exchange two names in one step (renameat2, "
        "RENAME_EXCHANGE). With two steps a runtime could find nothing in between, so nothing was changed.",
        "Move the directory away by hand on that node.",
        ON_NODE,
    ),
    Reason.SHADOWED: Explanation(
        "The runtime never sees the entry: a directory that it searches first has something for this registry.",
        "Move away the directory named in the message.",
        ON_NODE,
    ),
    Reason.CONTESTED: Explanation(
        "Another process keeps undoing what the agent writes, or holds the directory's lock. The entry is repaired "
        "with growing pauses of up to 15 seconds, so the two don't fight at full speed.",
        "Find the other writer (another DaemonSet, a machine configuration, a second agent) and stop one of the two.",
        (*ON_NODE, Place.TARGET),
    ),
    Reason.WRITE_FAILED: Explanation(
        "A file operation failed on the node. The old files are still in place and complete; the agent tries again "
        "with growing pauses. The message has the operation, the path, the system's error and what to do.",
        "Fix what the error names: space, a read-only file system, an SELinux type (`agent.seLinuxOptions`).",
        (*ON_NODE, Place.TARGET, Place.NOTICE),
    ),
    Reason.CLIENT_CERTIFICATE_CONFLICT: Explanation(
        "Two trusts give this node a client certificate of the same name for the same registry, with different "
        "content. The one of the earlier trust is used; this one is not on the node.",
        "Give it a name of its own in `clientCertificates[].name`; then the node has both. Which of two a runtime "
        "sends is up to the registry's hints: docs/rotation.md.",
        ON_NODE,
    ),
    Reason.DRIFT_REPAIRED: Explanation(
        "Another process changed or removed files of registry-trust on this node, and the agent restored them at "
        "once. The number grows in steps, to avoid a stream of reports.",
        "Find out which process it is; the agent's log names each entry. After a one-time clean-up there is nothing "
        "to do.",
        (Place.NOTICE, Place.NODE_EVENT, Place.LOG),
    ),
    Reason.NOT_WATCHED: Explanation(
        "The kernel gives the agent no watch on a directory, so it does not learn at once that somebody changed files "
        "there; it finds out when it looks again (`--drift-interval`).",
        "Raise the limit that the message names on that node.",
        (Place.NOTICE,),
    ),
    Reason.NODE_PENDING: Explanation(
        "An agent is running on the node but has not reported the current revision yet, or is still writing it: with "
        "many registries on a slow disk it writes for 15 seconds at a time and reports in between.",
        "Wait a moment. If it persists, see the agent's log on that node: it may be unable to reach the API server.",
        (*_COUNTED, Place.ROW),
    ),
    Reason.NODE_UNREACHABLE: Explanation(
        "The Node is not Ready, so its state is unknown. It is not waited for.",
        "Nothing: the agent updates the node when it is back.",
        _COUNTED,
    ),
    Reason.AGENT_SILENT: Explanation(
        "The Node is Ready but has no ready agent, so it does not get changes. It is counted but not waited for.",
        "`kubectl -n registry-trust get pods -o wide --field-selector spec.nodeName=NODE`: no pod means a selector "
        "or toleration; a pod that does not start says why in its Events.",
        _COUNTED,
    ),
    Reason.NODE_EXCLUDED: Explanation(
        "The agents' DaemonSet may not run on these nodes (virtual nodes such as Fargate's are often excluded), so "
        "they do not get files. They are counted, not waited for, and listed once, after the nodes that fail.",
        "If they need the files: change `agent.nodeSelector` of the chart. If not: exclude them by the trust's "
        "`nodeSelector`, too.",
        _COUNTED,
    ),
}

BUNDLE: Mapping[Reason, Explanation] = {
    Reason.BUNDLE_TOO_LARGE: Explanation(
        "All trusts together are more than one Secret can hold (1,000,000 bytes). Half of it is divided evenly among "
        "the trusts: that is a trust's share, and no other trust can take it. A change is accepted if everything "
        "still fits even when each trust within its share uses all of it. What is served stays, and a change that "
        "only removes is always accepted.",
        "Use fewer CA certificates. The same certificate in many trusts is stored once.",
        REFUSED,
    ),
    Reason.BUNDLE_NEARLY_FULL: Explanation(
        "The bundle of all trusts is more than 80 % full. Its ten largest trusts report it; nothing is rejected yet. "
        "The metrics are `registry_trust_bundle_bytes` and `registry_trust_bundle_limit_bytes`.",
        "Provide only the CA certificates that the trust's registries need, or lower `operator.trustLimit`.",
        (Place.WARNING, Place.EVENT),
    ),
    Reason.REMOVAL_HELD: Explanation(
        "More than half of the trusts disappeared within ten minutes. In case that was a mistake, their files stay "
        "on the nodes ten minutes longer: `kubectl get nt` shows `RemovalHeld` for every node that has some. The same "
        "happens if the operator starts on a state that is older than what nodes have (etcd was restored from a "
        "backup, the bundle's Secret was emptied or put back): for ten minutes, no trust loses files that a node has "
        "of it, even if the trust, a registry in it, its selector or the node's labels are older or gone.",
        "Apply the trusts again to keep the files; use the command in the message to remove them now; or wait. The "
        "command ends the hold on all nodes. "
        "The trusts are gone, so look at the NodeTrusts (`kubectl get nt NODE -o yaml`), at `kubectl get events -n "
        "default --field-selector reason=RemovalHeld`, or at the metrics `registry_trust_removals_held` and "
        "`registry_trust_history_lost`.",
        (Place.ROW, Place.FAILING_NODE, Place.EVENT, Place.LOG),
    ),
    Reason.BUNDLE_MISSING: Explanation(
        "The node has received no bundle, or the bundle was emptied or deleted. Nothing is removed for that reason: "
        "files stay as they are, and rows say `Held` until there is a bundle again.",
        "Check that the operator is running (`kubectl -n registry-trust get deployment registry-trust-operator`), "
        "that the Secret `registry-trust-bundle` exists, and that the agent reaches the API server (its log). The "
        "operator fills an empty Secret on its own; to restore a deleted one, apply the chart or `deploy/` again.",
        (Place.NOTICE, Place.ROW, Place.LOG),
    ),
    Reason.BUNDLE_UNREADABLE: Explanation(
        "The bundle's Secret was changed by something other than the operator. Nodes keep what they have, and the "
        "operator writes it again.",
        "Nothing, if it goes away. Otherwise find out who writes the Secret: `kubectl -n registry-trust get secret "
        "registry-trust-bundle --show-managed-fields -o yaml` (mind that it holds private keys).",
        _NOTICED,
    ),
    Reason.UNSUPPORTED_BUNDLE: Explanation(
        "The bundle was written by a newer version than the one that reads it. An older agent keeps its files; an "
        "older operator writes nothing.",
        "Upgrade the component that reports it.",
        _NOTICED,
    ),
    Reason.CONTENT_HELD: Explanation(
        "A trust exists, but the operator has no good content for it, not even a last good one. Nodes that have its "
        "files keep them.",
        "Fix what that trust's `Accepted` condition reports.",
        (Place.ROW, Place.FAILING_NODE),
    ),
    Reason.ROLLBACK_REFUSED: Explanation(
        "The node was offered an older bundle than the one it has, most often by an API server that lags behind. It "
        "is rejected for ten minutes. If etcd was restored, the operator writes its bundle again within seconds, "
        "with a serial that is accepted at once.",
        "Nothing, unless etcd was restored from a backup: then check that the sources are as they should be, and apply "
        "the trusts that the backup lacks again. Nodes keep their files for ten minutes ([RemovalHeld](#removalheld)).",
        _NOTICED,
    ),
    Reason.ROLLED_BACK: Explanation(
        "Nothing newer came for ten minutes, so the older bundle was accepted: the cluster's state was set back.",
        "Check that trusts and sources are the ones you want; certificates may be older now.",
        _NOTICED,
    ),
    Reason.HISTORY_LOST: Explanation(
        "The bundle that this node applied last is not one of those that came before the present one, most often "
        "because etcd was restored from a backup. No trust loses files on this node for ten minutes. The operator "
        "learns of it within seconds, and then removals wait on all nodes.",
        "Check that the sources are as they should be, and apply the trusts that the backup lacks again. Nodes keep "
        "their files for ten minutes ([RemovalHeld](#removalheld)).",
        _NOTICED,
    ),
}
