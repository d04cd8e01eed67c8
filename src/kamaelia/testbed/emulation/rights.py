"""What an emulation needs from the machine, and what is missing.

Namespaces and devices are made by those who have CAP_SYS_ADMIN and CAP_NET_ADMIN, which root has. Who is not
root has them in a *user namespace* of his own, where the kernel lets him make one, and there they are enough;
only the file ``/dev/net/tun`` has to be open to him as well.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from ..errors import EmulationError
from . import kernel
from .tun import DEVICE

_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21


def missing() -> list[str]:
    """Return what is missing for an emulation, a sentence each; nothing if all is there.

    Example:
        >>> from kamaelia.testbed.emulation import missing
        >>> isinstance(missing(), list)
        True
    """
    if not sys.platform.startswith("linux"):
        return [f"network namespaces and TUN devices are Linux's, and this is {sys.platform}: simulate it"]
    found = []
    if not os.path.exists(DEVICE):
        found.append(
            f"there is no {DEVICE}: load the kernel's module tun (modprobe tun), or give a container the "
            f"device (--device {DEVICE})"
        )
    elif not os.access(DEVICE, os.R_OK | os.W_OK):
        found.append(f"{DEVICE} cannot be opened: run this as root, or let it be opened (chmod 666 {DEVICE})")
    if not has_rights() and not _may_have_own_users():
        found.append(
            "no right to make network namespaces: run this as root, give it CAP_SYS_ADMIN and CAP_NET_ADMIN, "
            "or let everybody make user namespaces (sysctl user.max_user_namespaces and, on Debian and "
            "Ubuntu, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns)"
        )
    return found


def check() -> None:
    """Raise `EmulationError` if something is missing."""
    found = missing()
    if found:
        raise EmulationError(_sentence(found))


def has_rights() -> bool:
    """Say whether this process may make namespaces and devices as it is."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    needed = 1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_ADMIN
    return int(effective, 16) & needed == needed


def _may_have_own_users() -> bool:
    """Say whether this process may make a user namespace in which it may do all else."""
    child = os.fork()
    if child == 0:
        try:
            become_root_of_own_world()
            kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def become_root_of_own_world() -> None:
    """Get the rights in a user namespace of our own, if we have none as it is. Raises `OSError`."""
    if has_rights():
        return
    user, group = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def explained(error: OSError) -> Exception:
    """Return the error that says what was missing where something was refused."""
    if error.errno in (errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENODEV, errno.ENOSPC, errno.EINVAL):
        found = missing() or [f"the kernel says: {error}"]
        return EmulationError(_sentence(found))
    return EmulationError(f"the network could not be set up: {error}")


def _sentence(found: list[str]) -> str:
    return "this machine does not let us emulate networks: " + "; ".join(found)


__all__ = ["become_root_of_own_world", "check", "explained", "has_rights", "missing"]
