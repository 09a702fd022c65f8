"""A simulated Focus server: HTTP on localhost with made-up data, for tests and for trying the tap.

It implements login, expiring tokens, the cursor and audio. The tap never imports it.

    with Sandbox(records=500, live_every=0) as sandbox:
        requests.get(f"{sandbox.url}/client/recording/cursor", ...)

It needs the packages of the extra `sandbox`.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from tap_focus.sandbox.server import Sandbox

__all__ = ["Sandbox"]


def __getattr__(name: str) -> t.Any:
    """Import the server on first use.

    The commands are in this package too. They must start without the extra to report that it is
    missing.
    """
    if name == "Sandbox":
        from tap_focus.sandbox.server import Sandbox  # noqa: PLC0415

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
