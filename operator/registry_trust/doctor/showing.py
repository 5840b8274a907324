"""Showing: a diagnosis as text for an admin, and as one document of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from registry_trust.agent.store.manifest import StoreState
from registry_trust.core.problem import Problem
from registry_trust.core.text import clip, escape, listing
from registry_trust.core.times import rfc3339
from registry_trust.doctor.diagnosis import Diagnosis, Outlook, RegistryDiagnosis
from registry_trust.doctor.evidence import CertificateSeen, Effect, FileSeen, Lookup, Symptom

_WIDTH = 12
"""Columns of the words at the beginning of a line."""

_MOST_CERTIFICATES = 8
"""Certificates of one file that the text shows; JSON has all."""

_PAGE = "docs/why-is-my-pull-failing.md"


def text(diagnosis: Diagnosis, registry: str) -> str:
    """Return the text: about one registry with all that is read for it, or a table of all of them."""
    lines = [*_node(diagnosis), ""]
    if registry:
        lines += [line for each in diagnosis.registries for line in _registry(each)]
    else:
        lines += _table(diagnosis)
    lines += ["", *_symptoms(diagnosis)]
    return "\n".join(lines) + "\n"


def _line(word: str, said: str) -> str:
    return f"{word:<{_WIDTH}}{said}".rstrip()


def _node(diagnosis: Diagnosis) -> Iterator[str]:
    evidence, cluster = diagnosis.evidence, diagnosis.evidence.cluster
    yield _line("node", escape(evidence.node) or "(no name given)")
    yield _line("runtime", (cluster.runtime and escape(cluster.runtime)) or "not known")
    for row in evidence.targets:
        said = row.remark if row.problem is None else row.problem.reason.value
        yield _line("root", f"{escape(row.path)}: {row.state.value}" + (f" ({clip(said, 300)})" if said else ""))
    yield _line("bundle", _bundle(diagnosis))
    yield _line("report", _report(diagnosis))
    if cluster.clock is not None:
        ahead = cluster.clock.ahead
        if abs(ahead) <= cluster.clock.error:
            yield _line("clock", "as the API server's")
        else:
            word = "ahead of" if ahead > 0 else "behind"
            yield _line("clock", f"{abs(ahead):.0f} s {word} the API server's")


def _bundle(diagnosis: Diagnosis) -> str:
    cluster = diagnosis.evidence.cluster
    states = [each for each in diagnosis.evidence.states.values() if isinstance(each, StoreState)]
    on_disk = listing([str(serial) for serial in sorted({each.serial for each in states})]) or "none"
    if cluster.serial is not None:
        return f"serial {cluster.serial} is wanted, {on_disk} is on this node"
    why = "not asked for" if cluster.bundle_problem is None else cluster.bundle_problem.reason.value
    return f"not known ({why}); serial {on_disk} is on this node"


def _report(diagnosis: Diagnosis) -> str:
    report = diagnosis.evidence.cluster.report
    if report is None:
        return "not known"
    rows = f"{report.registry_count} registries" if report.registry_count != 1 else "1 registry"
    return f"serial {report.serial}, {rows}, {report.failing} failing"


def _table(diagnosis: Diagnosis) -> Iterator[str]:
    rows = [
        (
            escape(each.seen.registry),
            each.outlook.value,
            next((s.reason.value for s in each.symptoms if s.reason is not None), "-"),
        )
        for each in diagnosis.registries
    ]
    if not rows:
        yield "No registry: no trust gives this node any."
        return
    head = ("REGISTRY", "PULL", "REASON")
    widths = [max(len(row[column]) for row in (head, *rows)) + 2 for column in range(2)]
    for first, second, third in (head, *rows):
        yield f"{first:<{widths[0]}}{second:<{widths[1]}}{third}"


def _registry(diagnosis: RegistryDiagnosis) -> Iterator[str]:
    seen = diagnosis.seen
    yield _line("registry", escape(seen.registry))
    yield _line("wanted", _wanted(diagnosis))
    for lookup in seen.lookups:
        yield from _lookup(lookup)
    if seen.verdict is not None:
        yield _line("asked", f"{seen.verdict.state.value}: {clip(seen.verdict.problem.message)}")
        for shown in seen.verdict.shown[:_MOST_CERTIFICATES]:
            yield _line("", f"it showed {shown}")


def _wanted(diagnosis: RegistryDiagnosis) -> str:
    seen = diagnosis.seen
    trusts = f"of {'trust' if len(seen.trusts) == 1 else 'trusts'} {listing(list(seen.trusts), 5)}"
    if seen.authorities is None:
        if seen.refused:
            return "nothing"
        return (
            f"not known without the bundle; what is here is {trusts}" if seen.trusts else "not known without the bundle"
        )
    return f"CA certificates: {seen.authorities}, client certificates: {seen.pairs}, {trusts}"


def _lookup(lookup: Lookup) -> Iterator[str]:
    if not lookup.path:
        yield _line("read", f"{lookup.reader} finds nothing in {escape(lookup.target)}")
        return
    whose = "written by registry-trust" if lookup.ours else "not written by registry-trust"
    yield _line("read", f"{lookup.reader} reads {escape(lookup.path)} ({whose})")
    for file in lookup.files:
        yield _line("", _file(file))
        for certificate in file.certificates[:_MOST_CERTIFICATES]:
            yield _line("", f"  {_certificate(certificate)}")
        if len(file.certificates) > _MOST_CERTIFICATES:
            yield _line("", f"  and {len(file.certificates) - _MOST_CERTIFICATES} more")


def _file(file: FileSeen) -> str:
    mode = "not readable" if file.mode is None else f"{file.mode:04o} uid {file.owner}"
    return f"{escape(file.path)}  {mode}  {file.use.value}"


def _certificate(certificate: CertificateSeen) -> str:
    if not certificate.not_after:
        return certificate.subject
    names = f"  names {listing(list(certificate.names), 5)}" if certificate.names else ""
    dates = f"{rfc3339(certificate.not_before)} to {rfc3339(certificate.not_after)}"
    return f"{certificate.subject}  issuer {certificate.issuer}  {dates}{names}"


def _symptoms(diagnosis: Diagnosis) -> Iterator[str]:
    """Say what is wrong, then how a pull fails, then the one thing to do, last."""
    of_registries = [(each, symptom) for each in diagnosis.registries for symptom in each.symptoms]
    said = [("", symptom) for symptom in diagnosis.symptoms]
    said += [(f"{escape(each.seen.registry)}: ", symptom) for each, symptom in of_registries]
    for effect in Effect:
        for whose, symptom in said:
            # What is acted on first stands last, where its own message is what to do.
            if symptom.effect is effect and (symptom != diagnosis.chief or symptom.fix):
                yield _line(effect.value, f"{whose}{_found(symptom)}".replace("\n", "\n" + " " * _WIDTH))
    for each in diagnosis.registries:
        if (error := each.error()) is not None:
            yield _line("pull error", f'{escape(each.seen.registry)}: "{error.value}" in {_PAGE}')
    if diagnosis.outlook is Outlook.GOOD:
        yield _line("do this", "nothing: all that is wanted is there and is read")
    else:
        chief = diagnosis.chief
        advice = diagnosis.fix if chief is None or chief.fix else _found(chief)
        yield _line("do this", advice.replace("\n", "\n" + " " * _WIDTH))


def _found(symptom: Symptom) -> str:
    reason = f"{symptom.reason.value}: " if symptom.reason is not None else ""
    return f"{reason}{clip(symptom.found)}"


def document(diagnosis: Diagnosis) -> str:
    """Return everything as JSON."""
    evidence, cluster = diagnosis.evidence, diagnosis.evidence.cluster
    body = {
        "node": escape(evidence.node),
        "outlook": diagnosis.outlook.value,
        "fix": diagnosis.fix,
        "runtime": escape(cluster.runtime),
        "targets": [
            {
                "path": escape(row.path),
                "layout": row.layout,
                "state": row.state.value,
                "reason": "" if row.problem is None else row.problem.reason.value,
                "message": row.message,
            }
            for row in evidence.targets
        ],
        "bundle": {"serial": cluster.serial, "onNode": dict(_states(evidence.states))},
        "report": None
        if cluster.report is None
        else {"serial": cluster.report.serial, "failing": cluster.report.failing},
        "clockAheadSeconds": None if cluster.clock is None else round(cluster.clock.ahead, 1),
        "symptoms": [_symptom(each) for each in diagnosis.symptoms],
        "registries": [_registry_document(each) for each in diagnosis.registries],
    }
    return json.dumps(body, indent=2) + "\n"


def _states(states: Mapping[str, StoreState | Problem]) -> Iterator[tuple[str, int | str]]:
    for path, state in states.items():
        yield escape(path), state.serial if isinstance(state, StoreState) else str(state)


def _registry_document(diagnosis: RegistryDiagnosis) -> dict[str, Any]:
    seen, error = diagnosis.seen, diagnosis.error()
    return {
        "name": escape(seen.registry),
        "outlook": diagnosis.outlook.value,
        "pullError": "" if error is None else error.value,
        "trusts": list(seen.trusts),
        "caCertificates": seen.authorities,
        "clientCertificates": seen.pairs,
        "verdict": None
        if seen.verdict is None
        else {
            "state": seen.verdict.state.value,
            "reason": seen.verdict.problem.reason.value,
            "message": seen.verdict.problem.message,
            "shown": list(seen.verdict.shown),
        },
        "symptoms": [_symptom(each) for each in diagnosis.symptoms],
        "read": [
            {
                "reader": lookup.reader.value,
                "path": escape(lookup.path),
                "ours": lookup.ours,
                "files": [_file_document(each) for each in lookup.files],
            }
            for lookup in seen.lookups
        ],
    }


def _file_document(file: FileSeen) -> dict[str, Any]:
    return {
        "path": escape(file.path),
        "use": file.use.value,
        "mode": "" if file.mode is None else f"{file.mode:04o}",
        "uid": file.owner,
        "certificates": [
            {
                "subject": each.subject,
                "issuer": each.issuer,
                "notBefore": rfc3339(each.not_before) if each.not_after else "",
                "notAfter": rfc3339(each.not_after) if each.not_after else "",
                "names": list(each.names),
            }
            for each in file.certificates
        ],
    }


def _symptom(symptom: Symptom) -> dict[str, str]:
    return {
        "effect": symptom.effect.value,
        "reason": "" if symptom.reason is None else symptom.reason.value,
        "found": symptom.found,
        "fix": symptom.fix,
        "pullError": "" if symptom.error is None else symptom.error.value,
    }
