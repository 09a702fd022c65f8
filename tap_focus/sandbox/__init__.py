"""A stand-in for Focus: a real HTTP server on loopback, with made-up data.

It logs in, hands out expiring tokens, walks the cursor and plays audio as Focus does, so that
a newcomer, a CI job and the tests need no account. The tap itself never imports it.

    with Sandbox(records=500, live_every=0) as box:
        requests.get(f"{box.url}/client/recording/cursor", ...)

Its packages come with the extra: `pip install 'tap-focus[sandbox]'`.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from tap_focus.sandbox.server import Sandbox

__all__ = ["Sandbox"]


def __getattr__(name: str) -> t.Any:
    """Import the server when it is first asked for.

    The console scripts live in this package too, and have to start without the extra's
    packages in order to say that they are missing.
    """
    if name == "Sandbox":
        from tap_focus.sandbox.server import Sandbox  # noqa: PLC0415

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
