"""Processes that simulate for another one, and have no reason to go on when that has gone."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """Have this process, one of `multiprocessing`'s, end when the one that has started it does, however.

    Who is killed cannot end its children, and one of these may simulate for hours.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="ends with its parent", daemon=True).start()
