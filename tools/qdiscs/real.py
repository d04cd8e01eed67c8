"""Send packets through a qdisc of the kernel, between two network namespaces, and see what comes when.

    python -m tools.qdiscs.real JOBS ANSWERS

does that for each job of a file of JSON. It needs root, iproute2, and nothing of Python but its own library,
because it is also run inside `uml`.

The namespaces are joined by a veth; the qdisc is at the sender's end. All times are the kernel's own: it
stamps a packet just before it gives it to the qdisc, and when it comes out at the other end. So it does not
matter that the program that sends is late now and then: the same packets are sent through ours at the times
at which they really came to the qdisc. Neighbours are known and IPv6 is off, so nothing else is sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.namespaces import inside

from .streams import HEADS, Packet

WAIT = 20  # seconds until a command of iproute2 must be done
BUFFER = 256 << 20  # bytes, that packets may take until they are read
PORT = 5000
LEFT, RIGHT = "10.98.0.1", "10.98.0.2"
LEFT_MAC, RIGHT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"

# From linux/net_tstamp.h, linux/errqueue.h and asm-generic/socket.h: Python does not have all of them.
SO_TIMESTAMPNS, SO_TIMESTAMPING, SO_RCVBUFFORCE, SO_SNDBUFFORCE = 35, 37, 33, 32
TX_SCHED, SOFTWARE, OPT_ID, OPT_TSONLY = 1 << 8, 1 << 4, 1 << 7, 1 << 11
IP_RECVERR, IP_TOS, IP_RECVTOS = 11, 1, 13
BEFORE_QDISC = 1  # of SCM_TSTAMP_SND, SCHED, ACK


@dataclass
class Seen:
    """What became of packets; times in nanoseconds, from when the first one came to the qdisc."""

    arrived: list[int] = field(default_factory=list)
    """When each came to the qdisc."""
    came: list[tuple[int, int, int]] = field(default_factory=list)
    """In order: the number of a packet that came out, when, and its ECN field. Some may come twice."""
    counts: dict[str, int] = field(default_factory=dict)
    """What the qdiscs counted, such as ``"tbf drops"``."""


def through(qdiscs: Sequence[str], packets: Sequence[Packet], tail: float = 0.5) -> Seen:
    """Send packets through qdiscs.

    Arguments:
        qdiscs: as `tc` is told of them: first the one at the root, then what is inside it, and so on
        packets: in order of time
        tail: seconds until nothing more comes, when nothing has come for so long
    """
    with _wire() as (left, right):
        for number, words in enumerate(qdiscs):
            where = ["parent", f"{number}:1"] if number else ["root"]
            _do(*f"tc -n {left} qdisc add dev va".split(), *where, "handle", f"{number + 1}:", *words.split())
        with contextlib.ExitStack() as stack:
            receiver = stack.enter_context(inside(right, _receiver))
            senders: dict[int, socket.socket] = {}
            for packet in packets:
                if packet.flow not in senders:
                    make = _sender(packet.flow, packet.ecn)
                    senders[packet.flow] = stack.enter_context(inside(left, make))
            numbers = _send(packets, senders)
            rows = _receive(receiver, tail)
            arrived = _stamps(senders, numbers, len(packets))
        shown = json.loads(_do(*f"tc -n {left} -s -j qdisc show dev va".split()))
    first = arrived[0]
    return Seen(
        [moment - first for moment in arrived],
        [(number, moment - first, ecn) for number, moment, ecn in rows],
        {f"{one['kind']} {key}": value for one in shown for key, value in one.items() if type(value) is int},
    )


def _send(packets: Sequence[Packet], senders: dict[int, socket.socket]) -> dict[int, list[int]]:
    """Send all at their times; return the numbers of the packets of each flow."""
    numbers: dict[int, list[int]] = {flow: [] for flow in senders}
    begin = time.monotonic_ns() + 10_000_000
    for number, packet in enumerate(packets):
        due = begin + packet.time
        if (left := due - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)
        senders[packet.flow].send(struct.pack("!Q", number) + bytes(packet.size - HEADS - 8))
        numbers[packet.flow].append(number)
    return numbers


def _receive(receiver: socket.socket, tail: float) -> list[tuple[int, int, int]]:
    rows = []
    receiver.settimeout(tail)
    with contextlib.suppress(TimeoutError):
        while True:
            data, ancillary, _, _ = receiver.recvmsg(2048, 256)
            moment = ecn = 0
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    moment = _nanoseconds(value)
                elif (level, kind) == (socket.IPPROTO_IP, IP_TOS):
                    ecn = value[0] & 3
            rows.append((struct.unpack_from("!Q", data)[0], moment, ecn))
    return rows


def _stamps(senders: dict[int, socket.socket], numbers: dict[int, list[int]], count: int) -> list[int]:
    """Return when each packet came to the qdisc."""
    arrived = [0] * count
    for flow, sender in senders.items():
        for _ in numbers[flow]:
            _, ancillary, _, _ = sender.recvmsg(0, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            moment = which = -1
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING):
                    moment = _nanoseconds(value)
                elif (level, kind) == (socket.IPPROTO_IP, IP_RECVERR):
                    _, _, _, _, _, info, which = struct.unpack_from("=IBBBBII", value)
                    if info != BEFORE_QDISC:
                        raise RuntimeError(f"a stamp of kind {info} was not asked for")
            arrived[numbers[flow][which]] = moment
    if 0 in arrived:
        raise RuntimeError(f"the kernel has not stamped packet {arrived.index(0)}")
    return arrived


def _nanoseconds(value: bytes) -> int:
    seconds, rest = struct.unpack_from("=qq", value)
    moment: int = seconds * 10**9 + rest
    return moment


# --- two namespaces -----------------------------------------------------------------------------------


def _receiver() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    made.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    made.bind((RIGHT, PORT))
    return made


def _sender(flow: int, ecn: int) -> Callable[[], socket.socket]:
    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)  # stamps count as received
        made.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)  # what waits in the qdisc counts as sent
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, TX_SCHED | SOFTWARE | OPT_ID | OPT_TSONLY)
        made.setsockopt(socket.IPPROTO_IP, IP_TOS, ecn)
        made.bind((LEFT, PORT + 1 + flow))
        made.connect((RIGHT, PORT))
        return made

    return make


@contextlib.contextmanager
def _wire() -> Iterator[tuple[str, str]]:
    """Make two namespaces and a veth between them; all of it goes again."""
    names = [f"kamaelia-qdisc-{os.getpid()}-{side}" for side in ("left", "right")]
    left, right = names
    made = []
    try:
        for name in names:
            _do("ip", "netns", "add", name)
            made.append(name)
        for name in names:
            inside(name, _without_ipv6)
        _do("ip", "-n", left, "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", right)
        ends = [(left, "va", LEFT, LEFT_MAC), (right, "vb", RIGHT, RIGHT_MAC)]
        for (name, device, address, mac), (_, _, other, its) in zip(ends, reversed(ends), strict=True):
            _do("ip", "-n", name, "link", "set", device, "address", mac, "mtu", "1500")
            _do("ip", "-n", name, "address", "add", f"{address}/24", "dev", device)
            _do("ip", "-n", name, "link", "set", device, "up")
            _do("ip", "-n", name, "neighbour", "replace", other, "lladdr", its, "dev", device)
        yield left, right
    finally:
        for name in made:
            _do("ip", "netns", "delete", name)


def _without_ipv6() -> None:
    for which in ("all", "default"):
        switch = Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6")
        if switch.exists():
            switch.write_text("1")


def _do(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=WAIT)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


# --- jobs ---------------------------------------------------------------------------------------------


def main(jobs: str, answers: str) -> None:
    """Do each job of a file, and write what was seen, or why nothing was."""
    with open(answers, "w") as file:
        for job in json.loads(Path(jobs).read_text()):
            packets = [Packet(*row) for row in job["packets"]]
            try:
                answer: dict[str, Any] = asdict(through(job["qdiscs"], packets, job["tail"]))
            except (OSError, RuntimeError) as error:
                answer = {"failed": str(error)}
            print(json.dumps(answer), file=file, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
