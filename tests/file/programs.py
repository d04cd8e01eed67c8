"""Small programs in processes of their own: they are killed, have no rights, or meet limits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"

IMPORTS = """
import os, resource, sys
from kamaelia import *
from kamaelia.axon import *
from kamaelia.flow import *
from kamaelia.file import *
from kamaelia.file import reader, writer  # what has no rights any more cannot import
import kamaelia.axon.interrupt, kamaelia.axon.report, asyncio, select
"""


def start(code: str, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    """Start a program that has the names of the room imported; its arguments are in `sys.argv`."""
    path = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTS + code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def result_of(code: str, *arguments: Any) -> str:
    """Return what a program prints that has nothing to complain of."""
    with start(code, *arguments) as program:
        output, errors = program.communicate(timeout=30)
    assert (errors, program.returncode) == ("", 0)
    return output
