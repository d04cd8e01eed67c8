"""Kamaelia's base is written to work on macOS and Windows too: it must not need what only Linux has."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, pkgutil, socket, sys  # asyncio itself needs some of what is taken away

MISSING = {"fcntl", "termios", "resource", "uvloop", "pty", "tty", "pwd", "grp", "beartype"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in MISSING:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Blocker())
family = socket.AF_UNIX
del socket.AF_UNIX
for loop in (asyncio.SelectorEventLoop, asyncio.BaseEventLoop):
    for method in ("add_reader", "remove_reader", "add_signal_handler"):
        def refuse(self, *args, method=method):
            raise NotImplementedError(method)
        setattr(loop, method, refuse)

import kamaelia

rooms = 0
for module in pkgutil.walk_packages(kamaelia.__path__, "kamaelia."):
    if module.name in ("kamaelia.__main__", "kamaelia.testing.plugin"):
        continue  # the one runs the command, the other is pytest's
    __import__(module.name)
    rooms += 1

socket.AF_UNIX = family  # asyncio on Linux wakes itself through such a socket
from kamaelia import run
from kamaelia.flow import Collect, Map, Source

assert run(Source("ab") | Map(str.upper) | Collect()) == ["A", "B"]
print(rooms > 30)
"""


@pytest.mark.slow
def test_every_module_can_be_imported_without_what_only_linux_has():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
