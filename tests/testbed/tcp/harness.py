"""Two ends of a connection and a way between them: TCP alone, without a network, hosts or a loop.

`Wire` carries segments with a delay, and writes down each when it is sent. What the way does to one, a
function says that it was given: it is called with the side that sends, the number of the segment among those
of that side, from 0, and the segment itself, and returns the delays of its copies: none is a loss, two are a
duplicate. Numbers of sequence are shown as Wireshark does: the opening is 0, the first byte of data 1.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

from kamaelia.testbed import LinuxTCP
from kamaelia.testbed.forms import forms
from kamaelia.testbed.tcp.connection import CLOSED
from kamaelia.testbed.tcp.segment import ACK, RST

MS = 1_000_000
SECOND = 1_000_000_000
FIRST = {"client": 7_000_000, "server": 3_000_000_000}
MSS = 1460  # as the option has it: 1500 bytes less two headers
FULL = 1448  # bytes of data, with time stamps
EXACT = LinuxTCP(hz=0)  # timers that are never late
RENO = LinuxTCP(hz=0, congestion="reno")
MARKED = 3

Copies = list[int]
Way = Callable[[str, int, Any], "Copies | None"]
FLAGS = {1: "fin", 2: "syn", 4: "rst", 8: "psh", 64: "ece", 128: "cwr"}


class Wire:
    """A client, a server, and what is between them.

    Arguments:
        client: settings of one end
        server: of the other; the client's if not given
        delay: of each segment, in nanoseconds
        way: what else happens to it; None for nothing else
        reads: whose programs read what comes, at once
        mss: what the option of that name says on both sides
        tcp: the classes of one form; those of the form in use if not given
    """

    def __init__(
        self,
        client: LinuxTCP = EXACT,
        server: LinuxTCP | None = None,
        *,
        delay: int = 10 * MS,
        way: Way | None = None,
        reads: Iterable[str] = ("client", "server"),
        mss: int = MSS,
        tcp: Any = None,
    ) -> None:
        self.tcp = tcp or forms().tcp
        self.settings = {"client": client, "server": server or client}
        self.delay, self.way, self.mss = delay, way, mss
        self.reads = set(reads)
        self.now = 0
        self.ends: dict[str, Any] = {"client": self.make("client")}
        self.sent: dict[str, list[tuple[int, Any]]] = {"client": [], "server": []}
        self.lines: list[str] = []
        self.got = {"client": b"", "server": b""}
        self.told = {"client": 0, "server": 0}
        self.marks: set[tuple[str, int]] = set()
        """The segments that the network marks: by whom, and which number."""
        self.waiting = {"client": b"", "server": b""}
        """What is written as soon as there is room for it."""
        self.watch: Callable[[str], object] = lambda side: None
        self._queue: list[tuple[int, int, Any]] = []
        self._count = 0

    def make(self, side: str) -> Any:
        return self.tcp.Connection(self.settings[side], FIRST[side], self.mss)

    @property
    def client(self) -> Any:
        return self.ends["client"]

    @property
    def server(self) -> Any:
        return self.ends["server"]

    # -- what happens -----------------------------------------------------------------------------------

    def at(self, when: int, call: Callable[[], object]) -> None:
        """Have something be done at a time."""
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, call))

    def do(self, side: str, method: str, *args: Any) -> Any:
        """Call a connection, now, and see to what follows."""
        result = getattr(self.ends[side], method)(*args, self.now)
        self.follow_up(side)
        return result

    def follow_up(self, side: str) -> None:
        end = self.ends[side]
        self.write(side)
        while end.out or end.events:
            out = list(end.out)
            end.out.clear()
            for segment in out:
                self.carry(side, segment)
            self.told[side] |= end.events
            end.events = 0
            if side in self.reads and end.receiver.arrived_bytes:
                self.got[side] += end.read(2**30, self.now)
            self.write(side)
        self.watch(side)

    def stream(self, side: str, data: bytes) -> None:
        """Write data, as there is room for it."""
        self.waiting[side] += data
        self.follow_up(side)

    def write(self, side: str) -> None:
        end = self.ends[side]
        while self.waiting[side] and end.room() > 0 and not end.error:
            taken = end.send(self.waiting[side], self.now)
            self.waiting[side] = self.waiting[side][taken:]

    def carry(self, side: str, segment: Any) -> None:
        number = len(self.sent[side])
        self.sent[side].append((self.now, segment))
        self.lines.append(self.line(side, segment))
        copies = self.way(side, number, segment) if self.way is not None else None
        mark = MARKED if (side, number) in self.marks else 0
        other = "server" if side == "client" else "client"
        for delay in [self.delay] if copies is None else copies:
            self.at(self.now + delay, lambda: self.arrive(other, segment, mark))

    def arrive(self, side: str, segment: Any, mark: int = 0) -> None:
        if side not in self.ends:
            self.ends[side] = self.make(side)
            self.ends[side].accept(segment, self.now)
        elif self.ends[side].state == CLOSED:
            self.answer_as_nobody(side, segment)
        else:
            self.ends[side].take(segment, mark, self.now)
        self.follow_up(side)

    def answer_as_nobody(self, side: str, segment: Any) -> None:
        """Do what a host does about a connection that it does not have."""
        if not segment.flags & RST:
            seq = segment.ack if segment.flags & ACK else 0
            self.carry(
                side, self.tcp.Segment(RST if segment.flags & ACK else RST | ACK, seq, segment.end(), 0, b"")
            )

    def run(self, until: int = 10_000 * SECOND) -> None:
        """Let time pass, until nothing more would happen or a time is reached."""
        while True:
            due = min(((end.due(), side) for side, end in sorted(self.ends.items())), default=(2**62, ""))
            next_time = self._queue[0][0] if self._queue else 2**62
            when = min(due[0], next_time)
            if when > until or when >= 2**62:
                break
            self.now = max(self.now, when)
            if next_time <= due[0]:
                heapq.heappop(self._queue)[2]()
            else:
                self.do(due[1], "run_out")
        self.now = max(self.now, until) if until < 10_000 * SECOND else self.now

    def open(self, until: int | None = None) -> None:
        """Open the connection, and let that happen."""
        self.do("client", "open")
        self.run(self.now + 5 * self.delay if until is None else until)

    # -- what is shown ------------------------------------------------------------------------------------

    def line(self, side: str, segment: Any) -> str:
        own, other = FIRST[side], FIRST["server" if side == "client" else "client"]
        names = [name for flag, name in FLAGS.items() if segment.flags & flag and name != "psh"]
        words = [f"{self.now / MS:g}", side, *names, f"{segment.seq - own}"]
        if segment.data:
            words[-1] += f":{segment.seq + len(segment.data) - own}"
        if segment.flags & 16:
            words += ["ack", str(segment.ack - other)]
        blocks = [edge - other for edge in segment.sack]
        if blocks:
            pairs = zip(blocks[::2], blocks[1::2], strict=True)
            words += ["sack", " ".join(f"{begin}:{end}" for begin, end in pairs)]
        return " ".join(words)

    def take_lines(self) -> list[str]:
        """Return what was sent since this was asked for last."""
        lines, self.lines = self.lines, []
        return lines

    def data_of(self, side: str) -> list[tuple[float, int, int]]:
        """Return what a side has sent of data: when, in milliseconds, from which number, how many bytes."""
        first = FIRST[side]
        return [(when / MS, one.seq - first, len(one.data)) for when, one in self.sent[side] if one.data]


def losing(*lost: tuple[str, int]) -> Way:
    """Return a way that loses some segments: by whom, and which number."""
    gone = set(lost)
    return lambda side, number, segment: [] if (side, number) in gone else None


def opened(client: LinuxTCP = EXACT, server: LinuxTCP | None = None, **options: Any) -> Wire:
    """Return a connection that is open, and of which nothing is shown yet."""
    wire = Wire(client, server, **options)
    wire.open()
    wire.take_lines()
    return wire


def full(count: int) -> bytes:
    """Return so many full segments of data, each byte of them telling where it is."""
    return bytes(range(256)) * (count * FULL // 256) + bytes(count * FULL % 256)
