"""Explanations of the words that conditions and Events have for the state of a whole trust."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.core.explanations.explanation import Explanation, Place
from registry_trust.core.reasons import Reason

_CONDITION = (Place.CONDITION,)
_TOLD = (Place.CONDITION, Place.EVENT)
_EVENT = (Place.EVENT, Place.LOG)
_NOTHING = "Nothing to do."

CONDITIONS: Mapping[Reason, Explanation] = {
    Reason.READY: Explanation(
        "`Ready` is True: what the trust asks for is usable, and every selected node with a live agent has it.",
        "3 of 3 nodes have revision 5c4e9d0b71aa",
        _NOTHING,
        _CONDITION,
    ),
    Reason.VALID: Explanation(
        "`Accepted` is True: the spec and everything that it names can be used. As an Event: a certificate that was "
        "not valid yet is valid now.",
        "every certificate and key is usable",
        _NOTHING,
        _TOLD,
    ),
    Reason.VALID_WITH_WARNINGS: Explanation(
        "`Accepted` is True, and something in it deserves a word. It is served all the same.",
        "IntermediateAsRoot: spec.caCertificates[0].secretKeyRef: Secret registry-trust/harbor-ca key ca.crt: "
        'certificate 1 of 1: "CN=Issuing CA" is an intermediate CA, issued by "CN=Root", and is trusted as a root: …',
        "Each warning begins with a reason of this page; look that one up.",
        _CONDITION,
    ),
    Reason.SUSPENDED: Explanation(
        "`spec.suspend` is true: changes of the trust and of its sources are not carried out. What nodes have stays, "
        "stays repaired, and goes to nodes that join.",
        "suspended: revision 5c4e9d0b71aa is frozen",
        "Set `spec.suspend` to false, or remove it, when changes are to count again.",
        _CONDITION,
    ),
    Reason.ALL_NODES_CURRENT: Explanation(
        "`Distributed` is True: every selected node with a live agent reports this revision on disk. Nodes that are "
        "not Ready or run no agent are counted in the message, and not waited for.",
        "4998 of 5000 nodes have revision 5c4e9d0b71aa; 2 unreachable; worker-17: NodeUnreachable: the Node is not "
        "Ready",
        _NOTHING,
        _CONDITION,
    ),
    Reason.NO_NODES_SELECTED: Explanation(
        "`Distributed` is True, and no node is meant: no Node has the labels of the trust's `nodeSelector`.",
        "no node is selected",
        "If nodes were meant, compare `kubectl get nodes --show-labels` with `spec.nodeSelector`.",
        _CONDITION,
    ),
    Reason.WITHDRAWN: Explanation(
        "`Distributed` is False because the bundle was withdrawn (`helm uninstall` with `cleanup.removeFiles`, or "
        "`registry-trust withdraw`): every agent removes what it wrote.",
        "registry-trust is being uninstalled: the agents remove what they wrote",
        "Nothing, if it is meant. An operator that is installed again takes the withdrawal back.",
        _TOLD,
    ),
    Reason.NOT_ACCEPTED: Explanation(
        "`Distributed` is False because the trust was never usable, so there is nothing that nodes could have.",
        "there is no content to distribute",
        "Read `Accepted`: it says what is wrong and what to do.",
        _CONDITION,
    ),
    Reason.NODES_PENDING: Explanation(
        "The revision is on its way: no selected node fails, and some have not reported it yet. A fleet reports at a "
        "bounded rate, so that thousands of nodes take some seconds.",
        "2 of 3 nodes have revision 5c4e9d0b71aa; 1 pending; worker-2: NodePending: the agent has not reported this "
        "revision yet",
        "Wait. If it lasts longer than a minute, look at the named node's agent: "
        "`kubectl -n registry-trust get pods -o wide -l app.kubernetes.io/component=agent`.",
        _CONDITION,
    ),
    Reason.NODES_FAILING: Explanation(
        "At least one selected node says that it could not do what the trust asks, or that its runtime does not read "
        "it. The others have it.",
        "2 of 3 nodes have revision 5c4e9d0b71aa; 1 failing; worker-3: ForeignFile: harbor.corp.example:5000: …",
        "`status.failingNodes` names the first ten nodes with registry, reason and what to do; look those reasons up "
        "here. `kubectl get nt NODE -o yaml` has all of one node.",
        (*_TOLD, Place.FAILING_NODE),
    ),
    Reason.NO_AGENTS: Explanation(
        "No agent runs on any of the nodes, so nobody can write the files, or say whether they are there.",
        "no agent runs on any node; see the DaemonSet registry-trust-agent",
        "`kubectl -n registry-trust describe daemonset registry-trust-agent` and the Events of its pods: most often "
        "the image is not on the nodes, or the namespace's Pod Security level forbids its pods (docs/install.md).",
        _TOLD,
    ),
    Reason.NOT_EXPIRING: Explanation(
        "`Expiring` is False: no certificate that is served is near its end.",
        "no certificate is near its end",
        _NOTHING,
        _CONDITION,
    ),
    Reason.EXPIRING: Explanation(
        "A certificate that is served ends within 30 days, or within the last fifth of its lifetime if that is "
        "shorter. Nothing fails yet; `Ready` does not depend on it.",
        "1 of 2 certificates will end: CN=node (Secret registry-trust/harbor-client key tls.crt) at "
        "2027-02-19T09:12:44Z; put new ones into their sources",
        "Put a new certificate into the source that the message names; nodes follow at once (docs/rotation.md). Where "
        "cert-manager should have renewed it, see `kubectl describe certificate`.",
        _TOLD,
    ),
    Reason.EXPIRING_SOON: Explanation(
        "A certificate that is served ends within seven days: the second warning.",
        "1 of 2 certificates will end: CN=node (Secret registry-trust/harbor-client key tls.crt) at "
        "2027-02-19T09:12:44Z; put new ones into their sources",
        "As for `Expiring`, and now.",
        _TOLD,
    ),
    Reason.EXPIRED: Explanation(
        "A certificate has ended. Runtimes refuse what an expired CA certificate issued, and registries refuse an "
        "expired client certificate. A source of which **every** CA certificate has expired is refused as a whole: "
        "then this is the reason of `Accepted`, and the last good content stays.",
        '"CN=Corp CA" expired on 2026-01-31T00:00:00Z, and runtimes accept nothing that it issued; put the CA\'s '
        "current certificate here",
        "Replace it in its source. If the date is right and the certificate is not needed any more, remove it there.",
        (*_TOLD, Place.WARNING),
    ),
}

EVENTS: Mapping[Reason, Explanation] = {
    Reason.ACCEPTED: Explanation(
        "`Accepted` has become True.",
        "every certificate and key is usable",
        _NOTHING,
        _EVENT,
    ),
    Reason.REJECTED: Explanation(
        "`Accepted` has become False, or is False for another reason now. What was served before is still served.",
        'SecretNotFound: spec.caCertificates[0].secretKeyRef: there is no Secret "harbor-ca" in namespace '
        "registry-trust, the only one that is read; create it there, or correct the name (still serving revision "
        "5c4e9d0b71aa)",
        "Look up the reason that the note begins with.",
        _EVENT,
    ),
    Reason.DISTRIBUTED: Explanation(
        "`Distributed` has become True.",
        "3 of 3 nodes have revision 5c4e9d0b71aa",
        _NOTHING,
        _EVENT,
    ),
    Reason.NOT_DISTRIBUTED: Explanation(
        "`Distributed` has become False for a reason that does not pass by itself, or has another such reason now.",
        "NodesFailing: 2 of 3 nodes have revision 5c4e9d0b71aa; 1 failing; …",
        "Look up the reason that the note begins with, and those in `status.failingNodes`.",
        _EVENT,
    ),
    Reason.NODE_FAILING: Explanation(
        "A node has begun to fail, or fails for another reason now. Told node by node only while `status.failingNodes` "
        "can name all that fail.",
        "worker-3: RootNotRead: /etc/containerd/certs.d: containerd 1.7.27 reads no certificate directory while "
        "config_path is empty; add: …",
        "Look up the reason after the node's name.",
        _EVENT,
    ),
    Reason.NODE_RECOVERED: Explanation(
        "A node that failed does not fail any more.",
        "worker-3 does not fail any more",
        _NOTHING,
        _EVENT,
    ),
    Reason.CA_RETAINED: Explanation(
        "A CA certificate was replaced, and the old one stays on the nodes next to the new one for the time in "
        "`spec.caRetention`, so that a registry that gets its new certificate later stays reachable. "
        "`status.certificates[].retainedUntil` says until when.",
        "CA certificate CN=Corp CA (Secret registry-trust/harbor-ca key ca.crt) stays until 2027-02-20T09:12:44Z; its "
        "source has replaced it (spec.caRetention)",
        "Nothing; it goes by itself. If the old CA must not be trusted any more: docs/rotation.md, *Revocation now*.",
        _EVENT,
    ),
    Reason.CA_DROPPED: Explanation(
        "A CA certificate that its source had replaced was removed from the nodes: its time was over.",
        "CA certificate CN=Corp CA (Secret registry-trust/harbor-ca key ca.crt) is not trusted any more",
        _NOTHING,
        _EVENT,
    ),
    Reason.ROOT_REPLACED: Explanation(
        "Every CA certificate of a source was replaced by others, and nothing of the old stays on the nodes: a "
        "registry that still has a certificate of the old CA can't be pulled from. An Event tells it at once, and the "
        "message of `Accepted` for a day, or until the source changes again. It also warns if `caRetention` is 0s and "
        "a CA has gone from a source with a certificate that can't be used: it may be that one, damaged.",
        "RootReplaced: spec.caCertificates[0]: Secret registry-trust/harbor-ca key ca.crt: CA certificates were "
        "replaced at once, at 2027-02-19T09:12:44Z, with no time in which old and new are both trusted; …",
        "Put old and new into the source until every registry has its new certificate, or let `spec.caRetention` "
        "do it (docs/rotation.md).",
        (Place.WARNING, *_EVENT),
    ),
    Reason.TRUST_ROOTS_CHANGED: Explanation(
        "The set of CA certificates that a trust serves has changed. It is told each time, with the first 16 digits "
        "of each certificate's SHA-256, so that nobody adds a root unseen.",
        "CA certificates by SHA-256: added 9f2d0c51aa37be10; removed 03b1e7c4d55f2a86",
        "If nobody meant it, find out who changed the source: `kubectl -n registry-certificates get secret NAME "
        "--show-managed-fields -o yaml`.",
        _EVENT,
    ),
}
