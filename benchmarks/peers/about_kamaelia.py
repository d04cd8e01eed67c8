"""Which Kamaelia is measured: its version and its core. As a program, it prints just that.

Whether the plain core is used although there is a compiled one, the environment says: KAMAELIA_PURE=1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from benchmarks.peers.stopwatch import report
from kamaelia import __version__
from kamaelia.axon.system import default_loop_factory, describe_core


def about(loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> str:
    """Return for instance ``Kamaelia 2.0 (plain Python core, uvloop)``."""
    loop = (loop_factory or default_loop_factory())()
    core = describe_core(loop)
    loop.close()
    return f"Kamaelia {__version__} ({core})"


if __name__ == "__main__":
    report(about())
