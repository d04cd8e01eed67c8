"""What can be wrong with a file, and what to do about it."""

from __future__ import annotations

import errno

from kamaelia.axon import KamaeliaError

_NO_RIGHT = "this user has no right to do that: change the permissions, or run as a user who has it"

_WHY = {
    errno.ENOENT: "there is no such file or folder: check the name",
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EISDIR: "it is a folder: name a file in it",
    errno.ENOTDIR: "a part of the name that should be a folder is a file: check the name",
    errno.EEXIST: "it is there already: choose another name, or say mode='append' or mode='replace'",
    errno.ENOSPC: "the disk is full: make room on it, or write to another one",
    errno.EDQUOT: "this user's share of the disk is used up: make room, or write to another one",
    errno.EFBIG: "a file may not be so large here: raise the limit (ulimit -f), or say rotate_size=",
    errno.EROFS: "its disk can only be read: write to another one",
    errno.EMFILE: "this process has too many files open: raise the limit (ulimit -n)",
    errno.EPIPE: "whoever read it has gone",
}


class FileTruncated(KamaeliaError, OSError):
    """A file has become shorter while it was read: part of what it held was never seen."""


class OutsideFolder(KamaeliaError, PermissionError):
    """A name leads out of the folder to which the files of a part are confined."""


def told(error: OSError, where: str, what: str, more: str = "") -> OSError:
    """Return an error of the same kind whose text says where, at what, why, and what to do.

    >>> told(FileNotFoundError(errno.ENOENT, "No such file"), "radio/Reader", "cannot read talk.ts")
    FileNotFoundError('radio/Reader: cannot read talk.ts: there is no such file or folder: check the name')
    """
    why = _WHY.get(error.errno or 0) or error.strerror or str(error)
    text = f"{where}: {what}: {why}{more}"
    made = type(error)(text)
    made.errno = error.errno
    return made


__all__ = ["FileTruncated", "OutsideFolder", "told"]
