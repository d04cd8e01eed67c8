"""One segment of TCP (RFC 9293, section 3.1), as both ends and the network have it: no bytes are made of it.

Numbers of sequence and of acknowledgement do not wrap here, and times are those of the sender's clock in
milliseconds; what writes packets down masks them with 32 bits. Its window is in bytes, already scaled.
"""

from __future__ import annotations

FIN, SYN, RST, PSH, ACK, ECE, CWR = 1, 2, 4, 8, 16, 64, 128

HEADER = 20
"""Bytes of a header without options."""
TIMESTAMPS = 12
"""Bytes that the option of RFC 7323 takes, with its padding."""
SYN_OPTIONS = 20
"""Bytes of those that open a connection: size, permission for SACK, time stamps, scale of windows."""
SACK_BLOCK = 8
"""Bytes that each block of RFC 2018 takes, after the first four."""
MOST_BLOCKS = 3
"""That fit beside timestamps."""


class Segment:
    """What one packet of a connection says."""

    __slots__ = (
        "ack",
        "again",
        "data",
        "echo",
        "flags",
        "mss",
        "options",
        "sack",
        "sack_allowed",
        "scale",
        "seq",
        "shift",
        "stamp",
        "window",
    )

    def __init__(self, flags: int, seq: int, ack: int, window: int, data: bytes) -> None:
        self.flags = flags
        self.seq = seq
        """Of its first byte."""
        self.ack = ack
        """What comes next in the other direction; counts if the flag `ACK` is set."""
        self.window = window
        """How many bytes after that may be sent."""
        self.shift = 0
        """By how many bits that is shifted where it is written down."""
        self.data = data
        self.again = False
        """It was sent before."""
        self.stamp = -1
        """The sender's time; -1 for none."""
        self.echo = 0
        """The time that the other side has sent last."""
        self.sack: tuple[int, ...] = ()
        """The blocks that have arrived out of order: begin and end of each, the newest first."""
        self.mss = self.scale = -1
        """Of one that opens a connection: how many bytes of data its sender takes in a segment, and by how
        many bits windows are shifted; -1 for no such option."""
        self.sack_allowed = False
        self.options = 0
        """Bytes that the options take."""

    def end(self) -> int:
        """Return the number after its last; opening and ending count as a byte."""
        return self.seq + len(self.data) + (1 if self.flags & (SYN | FIN) else 0)

    def size(self) -> int:
        """Return the bytes of header and data."""
        return HEADER + self.options + len(self.data)

    def kind(self) -> str:
        """Return what it is, in traces: ``tcp syn-ack``, ``tcp fin``, ``tcp data`` ..."""
        if self.flags & SYN:
            return "tcp syn-ack" if self.flags & ACK else "tcp syn"
        if self.flags & RST:
            return "tcp rst"
        if self.flags & FIN:
            return "tcp fin"
        return "tcp data" if self.data else "tcp ack"

    def __repr__(self) -> str:
        window, options = f"window {self.window}", ""
        if self.sack:
            blocks = zip(self.sack[::2], self.sack[1::2], strict=True)
            options = ", has " + " ".join(f"{begin}:{end}" for begin, end in blocks)
        return f"<{self.kind()} {self.seq}:{self.end()}, ack {self.ack}, {window}{options}>"
