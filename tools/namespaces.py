"""Calling something in a network namespace; it needs only the standard library, as UML has no more."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import Any

CLONE_NEWNET = 0x40000000


def inside(name: str, call: Callable[[], Any]) -> Any:
    """Call something in a namespace, in a thread of its own; a socket stays where it was made."""
    answers: list[Any] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with open(f"/run/netns/{name}") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, f"cannot go into {name}: {os.strerror(number)}")
            answers.append(call())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return answers[0]
