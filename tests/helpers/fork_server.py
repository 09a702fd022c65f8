"""Fork runs of the commands from a process that has imported them; see `runner.ForkServer`.

Each request is a line of JSON on standard input. The answer is the exit code of the run, as a line
on standard output. The end of standard input ends the server.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any


def serve() -> None:
    """Fork for each request. Returns in the children only."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            become(request)
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
    sys.exit()


def become(request: dict[str, Any]) -> None:
    """Turn this process into the requested one."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = (
        (request["stdin"], os.O_RDONLY),
        (request["stdout"], write),
        (request["stderr"], write),
    )
    for number, (path, flags) in enumerate(streams):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = request["command"]
    signal.alarm(request["timeout"])  # ends the run with exit code -14


if __name__ == "__main__":
    del sys.path[0]  # this folder; a console script would not find modules here either
    mains = {
        command.name: command.load()
        for command in entry_points(group="console_scripts")
        if command.name in ("tap-focus", "tap-focus-media")
    }
    import_module("tap_focus.fetch")
    gc.freeze()  # keeps the collector from copying the memory that the children share
    serve()
    mains[Path(sys.argv[0]).name]()
