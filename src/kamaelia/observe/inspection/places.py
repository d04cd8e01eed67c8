"""Where inspection sockets are, who may use them, and which of them are left over.

They are in a folder that belongs to one user and is closed to all others: ``$XDG_RUNTIME_DIR/kamaelia``, or
``/tmp/kamaelia-UID`` where there is no such variable. Each is called after its process, ``PID-N.sock``, N
because several systems may run in one process. A socket that nobody listens at was left by a process that
was killed; whoever opens one clears these away.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from kamaelia.axon.errors import UsageError

NAME = re.compile(r"(\d+)-(\d+)\.sock")
LONGEST_PATH = 100  # characters: that many fit into the address of a Unix socket on every system


def folders() -> list[str]:
    """Return the folders in which sockets may be, the preferred one first."""
    found = []
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime) and os.path.isdir(runtime):
        found.append(os.path.join(runtime, "kamaelia"))
    usual = f"/run/user/{_uid()}/kamaelia"  # who asks may have been started in another way than what runs
    if usual not in found and os.path.isdir(os.path.dirname(usual)):
        found.append(usual)
    found.append(f"/tmp/kamaelia-{_uid()}")
    return found


def own_folder() -> str:
    """Return the folder for new sockets, made if need be; raises `UsageError` if it is not ours alone."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    for folder in folders():
        if not folder.startswith("/tmp/kamaelia-") and (not runtime or not folder.startswith(runtime)):
            continue
        if len(folder) + len("/1234567-1234.sock") > LONGEST_PATH:
            continue
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        except OSError as error:
            if folder.startswith("/tmp/kamaelia-"):
                raise UsageError(f"the inspection socket has no place: {folder}: {error.strerror}") from None
            continue
        check_folder(folder)
        return folder
    raise AssertionError("the last folder is short")


def check_folder(folder: str) -> None:
    """See that a folder is a real one, ours, and closed to others; raises `UsageError` if not."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        wrong = "is no folder"
    elif found.st_uid != _uid():
        wrong = f"belongs to user {found.st_uid}"
    elif stat.S_IMODE(found.st_mode) & 0o077:
        wrong = f"is open to others (mode {stat.S_IMODE(found.st_mode):o})"
    else:
        return
    raise UsageError(
        f"{folder} {wrong}, so no inspection socket can be safe in it: remove it, or set XDG_RUNTIME_DIR to "
        "a folder of yours that is closed to others"
    )


def sockets() -> Iterator[tuple[str, int, int]]:
    """Yield all sockets there are: path, number of the process, number of the system in it."""
    for folder in folders():
        names = []
        with suppress(OSError):
            names = os.listdir(folder)
        found = [(int(match[1]), int(match[2])) for name in names if (match := NAME.fullmatch(name))]
        for pid, number in sorted(found):
            yield os.path.join(folder, f"{pid}-{number}.sock"), pid, number


def clear_away(folder: str) -> None:
    """Remove the sockets of a folder that nobody listens at any more."""
    for path, pid, _ in list(sockets()):
        if os.path.dirname(path) == folder and not _is_alive(pid) and not is_answered(path):
            with suppress(OSError):
                os.unlink(path)


def is_answered(path: str) -> bool:
    """Say whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # too many wait to be let in, or it is another's: it is not ours to judge
            return True
    return True


def listen() -> tuple[socket.socket, str, int]:
    """Open the socket of one more system of this process; return it, its path, and the system's number.

    Raises `UsageError` where that cannot be done.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise UsageError(
            "inspect=True (or KAMAELIA_INSPECT) opens a Unix socket, and Python has none on this system: "
            "run it without, and use system.snapshot() in the program itself"
        )
    folder = own_folder()
    clear_away(folder)
    pid, number = os.getpid(), 1
    while True:
        path = os.path.join(folder, f"{pid}-{number}.sock")
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.bind(path)
            os.chmod(path, 0o600)
            made.listen(256)
            made.setblocking(False)
            return made, path, number
        except OSError as error:
            made.close()
            if not os.path.exists(path):
                raise UsageError(f"the inspection socket {path} cannot be opened: {error.strerror}") from None
        if is_answered(path):
            number += 1
        else:  # of a process that had our number, and was killed
            with suppress(OSError):
                os.unlink(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _uid() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


# -- who may look -------------------------------------------------------------------------------------


def peer_of(connection: Any) -> int | None:
    """Return whose process is at the other end of a Unix socket, as the kernel says; None if it does not."""
    if hasattr(socket, "SO_PEERCRED"):
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", data)
        return int(uid)
    if hasattr(socket, "LOCAL_PEERCRED"):  # BSD and macOS: a version, then the user
        data = connection.getsockopt(0, socket.LOCAL_PEERCRED, 76)
        _, uid = struct.unpack_from("Ii", data)
        return int(uid)
    return None


def may_look(peer: int | None, own: int | None = None) -> bool:
    """Say whether a user may look into a process: its owner, and root, who may do anything anyhow.

    Where the kernel does not say who asks, the folder has to keep others out.

    >>> may_look(1000, own=1000), may_look(0, own=1000), may_look(1001, own=1000)
    (True, True, False)
    """
    return peer is None or peer in (_uid() if own is None else own, 0)
