"""The command as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

LIMIT = 30.0  # seconds until a command that hangs is given up


class Done(NamedTuple):
    """What came of a command."""

    out: str
    err: str
    code: int


def start(*words: str, folder: Path | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start ``kamaelia`` with some words."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = options.pop("env", {**os.environ, "PYTHONUNBUFFERED": "1"})
    environment.pop("KAMAELIA_TRACEBACK", None)
    return subprocess.Popen(
        [sys.executable, "-m", "kamaelia", *words],
        cwd=folder,
        env=environment,
        text=True,
        bufsize=1,
        **{**pipes, **options},
    )


def kamaelia(*words: str, says: str = "", **options: Any) -> Done:
    """Run ``kamaelia`` with some words, to its end."""
    program = start(*words, **options)
    try:
        out, err = program.communicate(says, timeout=LIMIT)
    finally:
        program.kill()
        program.wait()
    return Done(out, err, program.returncode)
