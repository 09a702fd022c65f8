"""The command `tap-focus`. `python -m tap_focus` does the same."""

from __future__ import annotations

import signal
import typing as t


def main() -> t.NoReturn:
    """Run the tap."""
    # Ctrl-C during the import, which takes a moment, must not print a traceback. Once the tap
    # exists it handles the signal.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tap_focus import cli  # noqa: PLC0415

    cli.main()


if __name__ == "__main__":
    main()
