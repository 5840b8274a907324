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
        _NOTHING,
        _CONDITION,
    ),
    Reason.VALID: Explanation(
        "`Accepted` is True: the spec and everything that it names can be used. As an Event: a certificate that was "
        "not valid yet is valid now.",
        _NOTHING,
        _TOLD,
    ),
    Reason.VALID_WITH_WARNINGS: Explanation(
        "`Accepted` is True, and there is something you should know. It is served all the same.",
        "Each warning begins with a reason of this page; look that one up.",
        _CONDITION,
    ),
    Reason.SUSPENDED: Explanation(
        "`spec.suspend` is true: changes to the trust and its sources are not applied. Nodes keep what they have; it "
        "is still repaired, and nodes that join get it.",
        "Set `spec.suspend` to false, or remove it, when changes should apply again.",
        _CONDITION,
    ),
    Reason.ALL_NODES_CURRENT: Explanation(
        "`Distributed` is True: every selected node with a live agent reports this revision on disk. Nodes that are "
        "not Ready or run no agent are counted in the message but not waited for.",
        _NOTHING,
        _CONDITION,
    ),
    Reason.NO_NODES_SELECTED: Explanation(
        "`Distributed` is True, but no node is selected: no Node has the labels of the trust's `nodeSelector`.",
        "If you expected some, compare `kubectl get nodes --show-labels` with `spec.nodeSelector`.",
        _CONDITION,
    ),
    Reason.NOT_VERIFIED: Explanation(
        "`Verified` is Unknown: no node has asked the trust's registries yet with what is served now. Up to three "
        "nodes do, a second after they have the files.",
        "Wait. If it stays, look whether an agent runs on a selected node; `kubectl get nt NODE -o yaml` has what each "
        "node found.",
        _CONDITION,
    ),
    Reason.AGENT_DOES_NOT_VERIFY: Explanation(
        "`Verified` is Unknown: the nodes that are to ask the trust's registries have the files, and their agents do "
        "not ask: they are older than verification, or none of their directories is read. With `verification: Require` "
        "the trust is not `Ready`.",
        "Upgrade the DaemonSet to the operator's version (`kubectl get nt` shows each agent's), or set "
        "`spec.verification` to `Report`.",
        _CONDITION,
    ),
    Reason.VERIFICATION_FAILED: Explanation(
        "`Verified` is False: a node that asked a registry of this trust found that its pulls fail. The files are in "
        "place all the same; with `verification: Require` the trust is not `Ready`.",
        "The message names the node, the registry and the reason; look that up here and do what it says.",
        _TOLD,
    ),
    Reason.WITHDRAWN: Explanation(
        "`Distributed` is False because the bundle was withdrawn (`helm uninstall` with `cleanup.removeFiles`, or "
        "`registry-trust withdraw`): every agent removes the files it wrote.",
        "Nothing, if this is intended. Installing the operator again takes the withdrawal back.",
        _TOLD,
    ),
    Reason.NOT_ACCEPTED: Explanation(
        "`Distributed` is False because the trust was never usable, so there is nothing to distribute.",
        "Read `Accepted`: it says what is wrong and how to fix it.",
        _CONDITION,
    ),
    Reason.NODES_PENDING: Explanation(
        "The revision is being distributed: no selected node is failing, but some have not reported it yet. Reports "
        "are rate-limited, so thousands of nodes take several seconds.",
        "Wait. If it lasts longer than a minute, check the agent on the named node: `kubectl -n registry-trust get "
        "pods -o wide -l app.kubernetes.io/component=agent`.",
        _CONDITION,
    ),
    Reason.NODES_FAILING: Explanation(
        "At least one selected node reports that it could not apply the trust, or that its runtime does not read the "
        "files. The other nodes have it.",
        "`status.failingNodes` names the first ten nodes with registry, reason and fix; look up those reasons here. "
        "`kubectl get nt NODE -o yaml` shows everything about one node.",
        (*_TOLD, Place.FAILING_NODE),
    ),
    Reason.NO_AGENTS: Explanation(
        "No agent is running on any node, so files are neither written nor checked.",
        "`kubectl -n registry-trust describe daemonset registry-trust-agent` and the Events of its pods: most often "
        "the image is not on the nodes, or the namespace's Pod Security level forbids its pods (docs/install.md).",
        _TOLD,
    ),
    Reason.NOT_EXPIRING: Explanation(
        "`Expiring` is False: no served certificate is about to expire.",
        _NOTHING,
        _CONDITION,
    ),
    Reason.ROLLING_OUT: Explanation(
        "New content of a trust with `spec.rollout` is on its canaries, and not on the other nodes yet: `Ready` and "
        "`Distributed` are False, and `status.rollout` names the revision and the canaries. It goes to all nodes once "
        "every canary has it on disk, finds that pulls work, and `minimumSeconds` are over. In `failingNodes`: the "
        "trust is new, and this node gets it after the canaries.",
        "Wait; the message names the canary that is waited for. To let it go to all nodes now, annotate the trust as "
        "the message says.",
        (*_CONDITION, Place.FAILING_NODE),
    ),
    Reason.CANARY_UNVERIFIED: Explanation(
        "The canaries have the new content, but one of them can't tell whether pulls work: the registry is away, or a "
        "proxy or something else that its agent can't see is in between. Or pulls fail there, as they did with what "
        "was served before. It is asked again and again; nothing goes further before that.",
        "Look up the reason after the registry's name. If you know that pulls work: annotate the trust as the message "
        "says, or set `spec.rollout.verify: false`.",
        _CONDITION,
    ),
    Reason.CANARY_FAILED: Explanation(
        "A canary could not apply the new content, or found that pulls fail with it. The canaries have gone back to "
        "what was served, and no other node has seen it. Everything else of the trust works as before.",
        "Look up the reason after the canary's name, and change the trust or its source: the next content is tried "
        "again. If the canary is wrong, annotate the trust as the message says; that sends this very revision to all "
        "nodes (docs/rotation.md, *Canaries first*).",
        _TOLD,
    ),
    Reason.NO_CANARY: Explanation(
        "New content of a trust with `spec.rollout` waits, because no node can be its canary.",
        "Compare `kubectl get nodes --show-labels` with `spec.nodeSelector` and `spec.rollout.nodeSelector`, and check "
        "that an agent of this version runs on such a node. Or annotate the trust as the message says.",
        _CONDITION,
    ),
    Reason.EXPIRING: Explanation(
        "A served certificate expires within 30 days, or is in the last fifth of its lifetime if that is shorter. "
        "Nothing fails yet, and `Ready` does not depend on it.",
        "Put a new certificate into the source named in the message; nodes follow at once (docs/rotation.md). If "
        "cert-manager should have renewed it, run `kubectl describe certificate`.",
        _TOLD,
    ),
    Reason.EXPIRING_SOON: Explanation(
        "A served certificate expires within seven days: the second warning.",
        "As for `Expiring`, but now.",
        _TOLD,
    ),
    Reason.EXPIRED: Explanation(
        "A certificate has expired. Runtimes reject what an expired CA certificate issued, and registries reject an "
        "expired client certificate. If **every** CA certificate in a source has expired, the whole source is "
        "rejected: then this is the reason of `Accepted`, and the last good content stays.",
        "Replace it in its source. If the certificate is no longer needed, remove it there.",
        (*_TOLD, Place.WARNING),
    ),
}

EVENTS: Mapping[Reason, Explanation] = {
    Reason.ACCEPTED: Explanation(
        "`Accepted` has become True.",
        _NOTHING,
        _EVENT,
    ),
    Reason.REJECTED: Explanation(
        "`Accepted` has become False, or is now False for another reason. What was served before is still served.",
        "Look up the reason at the start of the note.",
        _EVENT,
    ),
    Reason.DISTRIBUTED: Explanation(
        "`Distributed` has become True.",
        _NOTHING,
        _EVENT,
    ),
    Reason.NOT_DISTRIBUTED: Explanation(
        "`Distributed` has become False for a reason that does not resolve itself, or now has another such reason.",
        "Look up the reason at the start of the note, and those in `status.failingNodes`.",
        _EVENT,
    ),
    Reason.NODE_FAILING: Explanation(
        "A node has started to fail, or now fails for another reason. Reported node by node only while "
        "`status.failingNodes` can list all failing nodes.",
        "Look up the reason after the node's name.",
        _EVENT,
    ),
    Reason.ROLLED_OUT: Explanation(
        "New content that was on the canaries of a trust goes to all nodes.",
        _NOTHING,
        _EVENT,
    ),
    Reason.NODE_RECOVERED: Explanation(
        "A node that was failing has recovered.",
        _NOTHING,
        _EVENT,
    ),
    Reason.CA_RETAINED: Explanation(
        "A CA certificate was replaced. The old one stays on the nodes next to the new one for `spec.caRetention`, "
        "so a registry that gets its new certificate later stays reachable. `status.certificates[].retainedUntil` "
        "says how long.",
        "Nothing; it is removed automatically. If the old CA must no longer be trusted: docs/rotation.md, "
        "*Revocation now*.",
        _EVENT,
    ),
    Reason.CA_DROPPED: Explanation(
        "A CA certificate that its source had replaced was removed from the nodes: its retention is over.",
        _NOTHING,
        _EVENT,
    ),
    Reason.ROOT_REPLACED: Explanation(
        "Every CA certificate of a source was replaced, and none of the old ones stays on the nodes: pulls fail from "
        "a registry that still has a certificate of the old CA. An Event reports it at once, and the message of "
        "`Accepted` for a day, or until the source changes again. It also warns if `caRetention` is 0s and a CA has "
        "gone from a source with a certificate that can't be used: it may be that very one, damaged.",
        "Put old and new into the source until every registry has its new certificate, or let `spec.caRetention` do "
        "it (docs/rotation.md).",
        (Place.WARNING, *_EVENT),
    ),
    Reason.STARTUP_TAINT_REMOVED: Explanation(
        "A node that joined with the taint `registrytrust.io/not-ready` has everything that its trusts ask for, so the "
        "operator removed the taint ([install.md](install.md#new-nodes-ready-before-workloads)).",
        _NOTHING,
        (Place.NODE_EVENT, Place.LOG),
    ),
    Reason.STARTUP_TAINT_KEPT: Explanation(
        "A node that joined with the taint `registrytrust.io/not-ready` has been waiting for more than two minutes for "
        "a trust that selects it. New pods are not scheduled there meanwhile.",
        "Look up the reason after the trust's name. To let the node work without the trust, remove the taint with the "
        "command in the message; the operator never adds it again.",
        (Place.NODE_EVENT, Place.LOG),
    ),
    Reason.TRUST_ROOTS_CHANGED: Explanation(
        "The set of CA certificates that a trust serves has changed. It is reported each time, with the first 16 "
        "digits of each certificate's SHA-256, so nobody can add a root unnoticed.",
        "If this was not intended, find out who changed the source: `kubectl -n registry-certificates get secret "
        "NAME --show-managed-fields -o yaml`.",
        _EVENT,
    ),
}
