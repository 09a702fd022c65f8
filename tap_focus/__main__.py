"""The command `tap-focus`: `python -m tap_focus` does the same."""

from __future__ import annotations

import gc
import signal
import typing as t


def main() -> t.NoReturn:
    """Run the tap."""
    # Ctrl-C during the imports below should end the process as it would any other, not with a
    # traceback; once the tap is made, it listens itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What is imported stays: to look for garbage in it takes a fourth of the start, and more later.
    gc.disable()
    from tap_focus.tap import TapFocus  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    TapFocus.main()


if __name__ == "__main__":
    main()
