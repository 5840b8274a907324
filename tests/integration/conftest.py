"""A real API server with registry-trust's own objects, and the operator as a process with its own account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.integration.looping_agent import Agent, Looping
from tools.cluster.control_plane import ControlPlane
from tools.installation import Installation


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """Start a control plane of this module's own, whose CA lacks the key-usage extension as many clusters' do."""
    with ControlPlane(ca_key_usage=False) as started:
        yield started


@pytest.fixture(scope="module")
def installation(plane: ControlPlane) -> Iterator[Installation]:
    """Install registry-trust without kubelets, and start the operator."""
    installed = Installation(plane)
    installed.install()
    installed.start_operator()
    try:
        yield installed
    finally:
        installed.stop()


@pytest.fixture
def looping() -> Iterator[Looping]:
    """Make agents whose loop the test turns, and close them afterwards."""
    with ExitStack() as stack:
        yield lambda *given, **named: stack.enter_context(closing(Agent(*given, **named)))
