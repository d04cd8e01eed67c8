"""Messages into a file: added to it, into a new one, or in place of an old one as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Literal, ParamSpec, TypeVar

from kamaelia.axon import (
    Cancelled,
    Component,
    EndOfMessages,
    Inbox,
    Outbox,
    SourceFailed,
    WouldBlock,
    clock,
)
from kamaelia.axon.arguments import check_bytes, check_positive, check_whole
from kamaelia.axon.errors import shorten

from .arguments import checked_path, checked_size, checked_time
from .blocking import BlockingCalls
from .errors import told
from .target import InPlace, Replacement, Target

P = ParamSpec("P")
R = TypeVar("R")

Mode = Literal["replace", "append", "create"]

BATCH = 256 * 1024  # bytes that are written at once, and one message more
BATCH_MESSAGES = 1000


class FileWriter(Component):
    """Write what arrives to a file.

    Inbox: ``inbox``, bytes. Outbox: ``outbox``, nothing; or with ``forward`` the same, each message when it
    has been written. It is optional: the work of this component lies elsewhere. Returns how many bytes it
    has written. What is not bytes is a failure, after what came before it has been written.

    With ``mode="replace"`` the file is replaced as a whole and in one instant, when the inbox has ended.
    Until then everything goes to a temporary file beside it, ``.NAME.0.partial``. When what feeds the inbox
    has failed, or this component fails, or is cancelled before everything has come, the temporary file is
    removed and the old file stays as it was. A stop of the system is an end like any other: what has come by
    then is the file.

    With ``mode="append"`` it is added to the file as it comes, and stays there whatever happens: so for logs
    and for recordings. The file may be a pipe or a device as well; one that nobody reads is waited for.
    With ``mode="create"`` it is the same, but the file must not be there yet.

    A file that is appended to can be rotated: when it would become larger than ``rotate_size``, or has been
    written to for ``rotate_after`` seconds, the next message goes to a new file, and the old one is called
    NAME.1, the one before NAME.2, up to ``keep``. No message is divided between two files; one that is larger
    than ``rotate_size`` has a file to itself.

    What cannot be written (a full disk, no right to write) is a failure, an `OSError` whose text says what
    to do, and how many of the bytes that came have been written. A slow disk holds senders back: 256 KiB
    wait in the inbox, and as much is being written.

    Arguments:
        path: of the file
        mode: ``"replace"``, ``"append"`` or ``"create"``
        fsync: when what was written is brought to the disk, and so survives a power cut: ``"end"``, once
            (before it takes the place of an old file, or is rotated); ``"always"``, after each message, or
            those that have come together; a number, at most so many seconds later; or ``"never"``, when the
            operating system likes
        rotate_size: bytes, as a number or as text such as ``"10 MB"``
        rotate_after: seconds, as a number or as text such as ``"24 h"``
        keep: how many old files stay
        forward: pass on what has been written

    Example:
        >>> import os, tempfile
        >>> from kamaelia import run
        >>> from kamaelia.file import FileReader, FileWriter
        >>> from kamaelia.flow import Collect, Source
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     name = os.path.join(folder, "letters")
        ...     run(Source([b"one", b"two"]) | FileWriter(name))
        ...     run(Source([b"three"]) | FileWriter(name, mode="append"))
        ...     run(FileReader(name) | Collect())
        6
        5
        [b'onetwothree']
    """

    inbox = Inbox[bytes]("what to write", size=f"{BATCH} B")
    outbox = Outbox[bytes]("the same when it has been written, if it is to be passed on", optional=True)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "replace",
        fsync: Literal["never", "end", "always"] | float = "end",
        rotate_size: int | str | None = None,
        rotate_after: float | str | None = None,
        keep: int = 5,
        forward: bool = False,
    ) -> None:
        self.file = checked_path("FileWriter", path)
        if mode not in ("replace", "append", "create"):
            raise ValueError(f"FileWriter(mode={shorten(mode)}): say 'replace', 'append' or 'create'")
        given: Any = fsync
        if isinstance(given, bool) or (isinstance(given, str) and given not in ("never", "end", "always")):
            raise ValueError(
                f"FileWriter(fsync={fsync!r}): say 'never', 'end' or 'always', or give a number of seconds"
            )
        if not isinstance(fsync, str):
            check_positive(
                f"FileWriter(fsync={shorten(fsync)})", fsync, "the seconds until it is on the disk"
            )
        if mode != "append" and not (rotate_size is None and rotate_after is None):
            raise ValueError(
                f"FileWriter(mode={mode!r}, rotate_...): only with mode='append' is a file rotated"
            )
        check_whole(f"FileWriter(keep={shorten(keep)})", keep, "how many old files stay", 1)
        self.mode = mode
        self.fsync = fsync
        self.rotate_size = (
            None if rotate_size is None else checked_size("FileWriter: rotate_size", rotate_size)
        )
        self.rotate_after = (
            None if rotate_after is None else checked_time("FileWriter: rotate_after", rotate_after)
        )
        self.keep = keep
        self.forward = forward
        self._target: Target | None = None
        self._calls: BlockingCalls
        self._taken = 0  # bytes out of the inbox
        self._unsynced_since: float | None = None

    @property
    def written(self) -> int:
        """Bytes that have been written so far."""
        return 0 if self._target is None else self._target.written

    async def main(self) -> int:
        calls = self._calls = BlockingCalls(self, f"write {self.file}")
        target = self._target = self._make_target()
        last = target.discard
        try:
            with self._telling():
                await calls.do(target.open, clock())
            await self._write_all(target)
            await self._do(target.finish)
        except SourceFailed:
            if target.keeps_part:
                await self._do(target.finish)
            raise
        except Cancelled:
            # A stop cancels whoever has nothing left in the inbox, also one who is writing the rest of it.
            if target.keeps_part or self._has_everything():
                last = target.finish
            raise
        finally:
            with self._telling():
                await calls.close(last)
        return target.written

    def _make_target(self) -> Target:
        synced = self.fsync != "never"
        if self.mode == "replace":
            return Replacement(self._calls.disk, self.file, synced)
        return InPlace(
            self._calls.disk,
            self.file,
            self.mode == "create",
            self._calls.given_up,
            synced,
            self.rotate_size,
            self.rotate_after,
            self.keep,
        )

    async def _write_all(self, target: Target) -> None:
        while True:
            try:
                messages, wrong = self._take_more(await self.inbox.receive(timeout=self._time_left()))
            except EndOfMessages:
                return
            except TimeoutError:
                await self._sync(target)
                continue
            if messages:
                await self._do(target.write, messages, clock())
                if self.fsync == "always":
                    await self._sync(target)
                elif self._unsynced_since is None:
                    self._unsynced_since = clock()
                elif self._time_left() == 0:
                    await self._sync(target)
            if wrong is not None:
                raise wrong
            if self.forward:
                for message in messages:
                    await self.outbox.send(message)

    def _take_more(self, message: Any) -> tuple[list[Any], TypeError | None]:
        """Return a message and those that have come meanwhile, up to the first that is no bytes."""
        messages: list[Any] = []
        size = 0
        try:
            while True:
                check_bytes(self, message)
                if isinstance(message, memoryview):
                    message = message.tobytes()
                messages.append(message)
                size += len(message)
                self._taken += len(message)
                if size >= BATCH or len(messages) >= BATCH_MESSAGES:
                    break
                message = self.inbox.receive_nowait()
        except (WouldBlock, EndOfMessages, SourceFailed):  # whoever waits for the next one will see
            pass
        except TypeError as error:
            return messages, error
        return messages, None

    def _time_left(self) -> float | None:
        """Return how long what was written may stay away from the disk; None where nothing has to be done."""
        if isinstance(self.fsync, str) or self._unsynced_since is None:
            return None
        return max(0, self._unsynced_since + self.fsync - clock())

    async def _sync(self, target: Target) -> None:
        await self._do(target.sync)
        self._unsynced_since = None

    def _has_everything(self) -> bool:
        inbox = self.inbox
        return inbox.ended and inbox.failure is None and not inbox.statistics().waiting

    async def _do(self, call: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
        with self._telling():
            return await self._calls.do_to_the_end(call, *args, **kwargs)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Say of an error which file it is about, what to do, and how much has been written."""
        try:
            yield
        except OSError as error:
            amount = ""
            if isinstance(self._target, Replacement) and self._target.is_in_place:
                amount = " (the new file is in its place, but may not survive a power cut)"
            elif self._taken and self.mode == "replace":
                amount = f" (of the {self._taken} bytes that had come nothing is kept)"
            elif self._taken:
                amount = f" ({self.written} of the {self._taken} bytes that had come are in it)"
            raise told(error, self.path, f"cannot write {self.file}", amount) from error


__all__ = ["FileWriter"]
