"""Unexpected exceptions: how one that no code foresaw is named in a log or a report, without what it may quote."""

from __future__ import annotations

import traceback
from pathlib import Path


def kind_of(error: BaseException) -> str:
    """Return its kind and where it came from: `ValueError in putheader (client.py:1340), open (api_client.py:105)`.

    Never its text, which may quote what it is about: http.client's ValueError repeats a header with the bearer token.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "registry_trust" in frame.filename][-1:]
    places = dict.fromkeys(f"{each.name} ({Path(each.filename).name}:{each.lineno})" for each in frames[-1:] + own)
    return f"{type(error).__name__} in {', '.join(places)}" if places else type(error).__name__
