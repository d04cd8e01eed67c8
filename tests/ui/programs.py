"""Small programs in processes of their own, at the ends of pipes and terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"
LIMIT = 30.0  # seconds until a program that hangs is given up

IMPORTS = """
import asyncio, os, sys
from kamaelia import *
from kamaelia.flow import *
from kamaelia.ui import *
"""

PLAIN_LOOP = """
class Plain(asyncio.SelectorEventLoop):  # like the loop of Windows, it cannot watch files
    def add_reader(self, fd, callback, *args):
        if isinstance(fd, int):
            raise NotImplementedError
        return super().add_reader(fd, callback, *args)
"""


def start(code: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program that has the everyday names imported."""
    path = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTS + code],
        env=os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1"},
        **options,
    )


def finish(program: subprocess.Popen[bytes], says: bytes | None = None) -> tuple[str, str, int]:
    """Return what a program prints, what it complains of, and its exit code."""
    try:
        output, errors = program.communicate(says, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        program.kill()
        program.communicate()
        raise
    return (output or b"").decode(), (errors or b"").decode(), program.returncode


def result_of(code: str, says: bytes | None = None, **options: Any) -> str:
    """Return what a program prints that has nothing to complain of."""
    output, errors, exit_code = finish(start(code, **options), says)
    assert (errors, exit_code) == ("", 0)
    return output
