"""Singer tap for Focus."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    sys.exit("tap-focus runs on Linux and macOS, not on Windows. Use WSL or a container.")
