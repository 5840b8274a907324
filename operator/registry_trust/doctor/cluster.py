"""The cluster: asks the API server for the node, its report and the bundle, and for the time; one GET for each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from registry_trust import __version__
from registry_trust.agent import regular_file
from registry_trust.agent.delivery.api_client import APIServer, RequestFailed, describe
from registry_trust.agent.delivery.inbox import ReceivedBundle
from registry_trust.agent.delivery.subscriptions import received_bundle, reported_runtime, unreadable
from registry_trust.agent.runtime.node import Sign, signs_of
from registry_trust.core import bundle_format
from registry_trust.core import bundle_values as values
from registry_trust.core.bundle import INDEX_KEY, SIZE_LIMIT, Bundle
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.names import REPORTS
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport
from registry_trust.core.report_format import decode_report
from registry_trust.core.text import escape
from registry_trust.doctor.evidence import ClusterSeen, ServerClock
from registry_trust.doctor.options import DoctorOptions
from registry_trust.process.unexpected import kind_of

_NODE_LIMIT = 4 << 20
"""Bytes of a Node with every image in its status."""
_MOST_BLOBS = 20_000
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Answers:
    """What the cluster said: for the evidence, and the bundle and the labels by which a plan is made."""

    seen: ClusterSeen = field(default_factory=ClusterSeen)
    bundle: Bundle | None = field(default=None, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    signs: frozenset[Sign] = frozenset()


def ask(options: DoctorOptions, clock: Callable[[], float] = time.time) -> Answers:
    """Ask the API server, if there is one to ask; nothing that it answers or does not answer is an error."""
    bundle, problem = _from_directory(options.bundle) if options.bundle is not None else (None, None)
    answers = _with_bundle(Answers(ClusterSeen(runtime=options.runtime), labels=options.labels), bundle, problem)
    agent = options.agent
    if not agent.node or not Path(agent.token_file).exists():
        return answers
    try:
        server = APIServer(
            agent.server, agent.ca_file, agent.token_file, user_agent=f"registry-trust-doctor/{__version__}"
        )
        node, ahead = _node(server, agent.node, clock)
        info = values.mapping((node.get("status") or {}).get("nodeInfo") or {})
        found = values.mapping((node.get("metadata") or {}).get("labels") or {})
        labels = {str(key): str(value) for key, value in found.items()}
    except (RequestFailed, ValueError, TypeError, AttributeError) as error:
        return replace(answers, seen=replace(answers.seen, asked=True, problem=escape(str(error), 600)))
    report, report_problem = _report(server, agent.node)
    if options.bundle is None:
        answers = _with_bundle(answers, *_bundle(server, agent.namespace, agent.bundle))
    server.close()
    runtime = options.runtime or reported_runtime(info)
    seen = replace(answers.seen, asked=True, runtime=runtime, clock=ahead, report=report, report_problem=report_problem)
    return replace(
        answers,
        seen=seen,
        labels=labels,
        signs=signs_of(str(info.get("osImage", "")), str(info.get("kubeletVersion", "")), labels),
    )


def _with_bundle(answers: Answers, bundle: ReceivedBundle | None, problem: Problem | None) -> Answers:
    if bundle is None:
        return replace(answers, seen=replace(answers.seen, bundle_problem=problem))
    seen = replace(answers.seen, uid=bundle.uid, serial=bundle.bundle.serial, bundle_problem=None)
    return replace(answers, seen=seen, bundle=bundle.bundle)


def _node(server: APIServer, name: str, clock: Callable[[], float]) -> tuple[dict[str, Any], ServerClock | None]:
    """Return the Node, and what the answer's Date says of this node's clock."""
    before = clock()
    stream = server.open("GET", f"/api/v1/nodes/{name}")
    after = clock()
    try:
        body = stream.response.read(_NODE_LIMIT)
        node = json.loads(body)
        date = stream.response.headers.get("Date")
    except Exception as error:  # whatever breaks off or is no answer
        raise RequestFailed(describe(error)) from error
    finally:
        stream.close()
    if not isinstance(node, dict):
        raise RequestFailed("the response is not a JSON object")
    return node, _ahead(date, before, after)


def _ahead(date: str | None, before: float, after: float) -> ServerClock | None:
    """Compare a Date header, which has whole seconds, with the moments around the request."""
    try:
        moment = parsedate_to_datetime(date or "").timestamp() + 0.5
    except (ValueError, TypeError, OverflowError):
        return None
    return ServerClock((before + after) / 2 - moment, abs(after - before) / 2 + 0.5)


def _report(server: APIServer, node: str) -> tuple[NodeReport | None, str]:
    try:
        body = server.call("GET", f"{REPORTS}/{node}")
        return decode_report(body.get("status") or {}), ""
    except RequestFailed as error:
        return None, "there is none" if error.status == _NOT_FOUND else str(error)
    except Exception as error:  # noqa: BLE001 - the boundary of what whoever has a node's token may write
        return None, f"it can't be understood ({kind_of(error)})"


def _bundle(server: APIServer, namespace: str, name: str) -> tuple[ReceivedBundle | None, Problem | None]:
    try:
        return received_bundle(server.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")), None
    except RequestFailed as error:
        words = "there is no such Secret" if error.status == _NOT_FOUND else str(error)
        return None, Problem(Reason.BUNDLE_MISSING, f"Secret {namespace}/{name}: {words}")
    except UnusableBundle as error:
        return None, error.problem
    except Exception as error:  # noqa: BLE001 - the boundary of what is read from a Secret
        return None, unreadable(error)


def _from_directory(directory: Path) -> tuple[ReceivedBundle | None, Problem | None]:
    """Read the Secret's data as the kubelet mounts it: a file for each key."""
    try:
        names = [path.name for path, _ in zip(directory.iterdir(), range(_MOST_BLOBS), strict=False)]
        data: dict[str, bytes] = {}
        left = SIZE_LIMIT + (SIZE_LIMIT >> 4)
        for name in names:
            if not name.startswith(".."):
                data[name] = regular_file.read(str(directory / name), left)
                left -= len(data[name])
        return ReceivedBundle("", "", bundle_format.decode(data)), None
    except OSError as error:
        message = f"{directory} has no bundle: {error.strerror or error}; it has to hold {INDEX_KEY}"
        return None, Problem(Reason.BUNDLE_MISSING, message)
    except UnusableBundle as error:
        return None, error.problem
    except Exception as error:  # noqa: BLE001 - the boundary of what is read from a Secret
        return None, unreadable(error)
