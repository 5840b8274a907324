"""Evidence: everything that was gathered about a node, as values; what a diagnosis is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registry_trust.agent.store.manifest import StoreState
from registry_trust.core.layout import HOSTS_FILE, Reader
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, TargetRow
from registry_trust.core.verdict.verdict import Verdict


class PullError(StrEnum):
    """The words with which a pull fails: the headings of docs/why-is-my-pull-failing.md."""

    UNKNOWN_AUTHORITY = "x509: certificate signed by unknown authority"
    DATES = "x509: certificate has expired or is not yet valid"
    OTHER_NAME = "x509: certificate is valid for …, not …"
    COMMON_NAME = "x509: certificate relies on legacy Common Name field, use SANs instead"
    CERTIFICATE_REQUIRED = "remote error: tls: certificate required"
    CA_WITHOUT_CERTIFICATE = 'unable to load CA cert "PATH"'
    CA_MISSING = 'unable to read CA cert "PATH": open PATH: no such file or directory'
    NOT_A_KEY = (
        "failed to load X509 key pair: tls: found a certificate rather than a key in the PEM for the private key"
    )
    NO_KEY = "missing key client.key for client certificate client.cert. CA certificates must use the extension .crt"
    NO_CERTIFICATE = "missing client certificate client.cert for key client.key"
    MISMATCH = "tls: private key does not match public key"
    NO_PEM = "tls: failed to find any PEM data in certificate input"
    UNUSABLE_KEY = "tls: failed to parse private key"
    FORBIDDEN = "open PATH: permission denied"
    NOT_A_DIRECTORY = "open PATH: not a directory"
    A_DIRECTORY = "read PATH: is a directory"
    INVALID_HOSTS = "failed to decode hosts.toml"
    LEGACY_TABLES = "`mirrors` cannot be set when `config_path` is provided"


class Effect(StrEnum):
    """What a symptom means for pulls, the worst first."""

    FAILS = "fails"
    """Pulls fail, or will at the next change."""
    UNKNOWN = "unknown"
    """Nobody can tell from here whether pulls work."""
    NOTE = "note"
    """Worth knowing; pulls work all the same."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that was found.

    Attributes:
        found: what, where; printable ASCII.
        fix: the one thing to do; empty where nothing is to be done.
        reason: from the one table; None for what does not concern a trust or a node's files.
        error: the words with which a pull fails because of it, if it does.
        where: the registry or the root that it is about; empty for the node as a whole.
    """

    effect: Effect
    found: str
    fix: str = ""
    reason: Reason | None = None
    error: PullError | None = None
    where: str = ""


class FileUse(StrEnum):
    """What a loader takes a file for."""

    HOSTS = HOSTS_FILE
    AUTHORITIES = "CA"
    CERTIFICATE = "client certificate"
    KEY = "client key"


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """One certificate in a file that a loader opens; dates as Unix time, texts printable."""

    subject: str
    issuer: str
    not_before: float
    not_after: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One file that a loader opens, by its path on the host; `mode` and `owner` are None where it can't be seen."""

    path: str
    use: FileUse
    mode: int | None = None
    owner: int | None = None
    certificates: tuple[CertificateSeen, ...] = ()
    symptoms: tuple[Symptom, ...] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where a reader's search for one registry ends, and what its loader takes there.

    Attributes:
        target: the root that is written for this reader.
        path: the directory that is read; empty where there is none.
        ours: registry-trust wrote it.
        files: in the order in which they are loaded.
        symptoms: of the directory as a whole.
    """

    target: str
    reader: Reader
    path: str = ""
    ours: bool = False
    files: tuple[FileSeen, ...] = ()
    symptoms: tuple[Symptom, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistrySeen:
    """One registry on this node.

    Attributes:
        trusts: the trusts that ask for it, or from which its files come if no bundle is known.
        authorities, pairs: how many the bundle wants; None where no bundle is known.
        row: what a pass would say of it; None where no bundle is known, or no trust asks for it.
        pending: what the next pass would change, in words; empty where nothing.
        refused: why no trust gives it to this node, if none does.
        verdict: what the registry showed when it was asked with the files that are read; None if it was not asked.
    """

    registry: str
    trusts: tuple[str, ...] = ()
    authorities: int | None = None
    pairs: int | None = None
    row: RegistryRow | None = None
    pending: str = ""
    refused: str = ""
    verdict: Verdict | None = None
    lookups: tuple[Lookup, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerClock:
    """The API server's clock against the node's: seconds that the node is ahead, and how exact that is."""

    ahead: float
    error: float


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """What the API server says.

    Attributes:
        asked: there was somebody to ask, and how.
        problem: why it did not answer; empty where it did.
        runtime: as in the Node's status, or as an option says; empty where that is not known.
        report: what the node's NodeTrust says; None where there is none, or it can't be read (`report_problem`).
        bundle_problem: why the bundle can't be used; None if it can.
        uid, serial: of the bundle.
    """

    asked: bool = False
    problem: str = ""
    runtime: str = ""
    clock: ServerClock | None = None
    report: NodeReport | None = None
    report_problem: str = ""
    bundle_problem: Problem | None = None
    uid: str = ""
    serial: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A node, as it was found.

    Attributes:
        node: its name; empty where that is not known.
        now: Unix time, by the node's clock.
        source: whose bundle the agent serves, `namespace/name`.
        targets: the roots, and why each is read or is not.
        legacy: the tables of containerd's configuration that keep its CRI plugin from loading; empty without any.
        states: what each root remembers of its bundle, by its path; a text says why that can't be read.
        remarks: what is to be said of the node beside that.
        proxy: the variable by which a unit of systemd sends requests to a proxy; empty if none is seen.
    """

    node: str
    now: float
    source: str
    cluster: ClusterSeen = field(default_factory=ClusterSeen)
    targets: tuple[TargetRow, ...] = ()
    legacy: str = ""
    states: Mapping[str, StoreState | Problem] = field(default_factory=dict)
    remarks: tuple[Problem, ...] = ()
    proxy: str = ""
    registries: tuple[RegistrySeen, ...] = ()
