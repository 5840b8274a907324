"""The agent as a process: puts the watches, the loop, the reporter and the health page together, and ends cleanly."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence

from registry_trust import __version__
from registry_trust.agent import health, memory, options
from registry_trust.agent.delivery.api_client import APIServer
from registry_trust.agent.delivery.inbox import Inbox
from registry_trust.agent.delivery.reporter import Reporter
from registry_trust.agent.delivery.subscriptions import (
    BundleSubscription,
    NodeSubscription,
    RuntimeReader,
    bundle_subject,
    node_subject,
)
from registry_trust.agent.delivery.watch import Watch
from registry_trust.agent.loop import Loop
from registry_trust.agent.runtime.runtimes import Runtimes
from registry_trust.agent.supervision import Supervisor
from registry_trust.agent.verifier import Verifier
from registry_trust.process import logs, pages
from registry_trust.process.secrecy import keep_memory_private

EXIT_UNUSABLE = 2
"""Exit code where the options can't be used, as argparse's own."""

log = logging.getLogger("registry_trust.agent")  # Not by its own name, which is "__main__" where it is run.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an agent until SIGTERM or SIGINT; return the exit code (3: a root was moved away under its mount)."""
    keep_memory_private()
    given = options.parse(arguments)
    logs.set_up(given.log_format, given.log_level, node=given.node)
    try:
        server = APIServer(
            given.server, given.ca_file, given.token_file, user_agent=f"registry-trust-agent/{__version__}"
        )
    except ValueError as error:
        log.error("--api-server: %s", error)  # noqa: TRY400 (the text is for an admin; a traceback says nothing more)
        return EXIT_UNUSABLE
    stop = threading.Event()
    inbox = Inbox()
    supervisor = Supervisor(stop)
    state = health.Health(stuck_after=max(health.STUCK, 8 * given.drift_interval), supervisor=supervisor)

    def written() -> None:
        state.reported = time.monotonic()

    reporter = Reporter(server, given.node, stop, written)
    runtime = RuntimeReader(server, given.node, inbox, stop)
    node = NodeSubscription(inbox, runtime)
    bundle = BundleSubscription(inbox)
    threads = {
        "watch-bundle": Watch(server, bundle_subject(given.namespace, given.bundle), bundle.deliver, stop).run,
        "watch-node": Watch(server, node_subject(given.node), node.deliver, stop).run,
        "runtime": runtime.run,
        "reporter": reporter.run,
    }
    verifier = Verifier(given.host_view, inbox.wake, stop)
    threads["verifier"] = verifier.run
    loop = Loop(given, inbox, Runtimes(given, runtime.ask), reporter, state, stop, verifier=verifier)

    def end(_signal: int, _frame: object) -> None:
        stop.set()
        inbox.wake()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if given.listen is not None:
        try:
            host, port = pages.serve(given.listen, state.pages())
        except OSError as error:
            log.error("--listen: %s", error)  # noqa: TRY400 (as above)
            return EXIT_UNUSABLE
        log.info("health and metrics on %s port %d", host, port)
    log.info("registry-trust agent %s for node %s", __version__, given.node)
    memory.economise()
    for name, run in threads.items():
        supervisor.start(name, run)
    code = loop.run()
    log.info("ended")
    return code


if __name__ == "__main__":
    sys.exit(main())
