"""Runs the demo: `python -m tools.demo`; exit code 0 only if every pull went as it must."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from tools.demo.output import Output

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks the demo to end before its time."""


def main() -> int:
    """Play the demo, and clean up whatever happens."""
    if sys.platform != "linux":
        print("make demo needs Linux; what works here: registry-trust render examples/client-certificate.yaml")
        return 1
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    for variable in ("NO_PROXY", "no_proxy"):  # everything is on this machine
        os.environ[variable] = ",".join(filter(None, [os.environ.get(variable), "127.0.0.1"]))
    out = Output()
    try:
        _play(out)
    except KeyboardInterrupt:
        out.note("interrupted; everything that was started is gone")
        return 130
    except Exception as error:  # noqa: BLE001 - the last place that can say what went wrong in a sentence
        out.bad(f"{type(error).__name__}: {error}")
        return 1
    return 0


def _play(out: Output) -> None:
    from tools.demo.steps import build_binaries, render_example  # noqa: PLC0415 - Linux only, from here on

    render_example(out)
    build_binaries(out)
    from tools.cluster.runs import Run  # noqa: PLC0415 - as above
    from tools.demo.story import tell  # noqa: PLC0415 - as above

    run = Run.create()
    try:
        tell(out, run)
    finally:
        for number in ENDINGS:  # a second Ctrl-C must not leave anything behind
            signal.signal(number, signal.SIG_IGN)
        run.destroy()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
