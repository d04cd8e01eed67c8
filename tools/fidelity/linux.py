"""TCP of the kernel that runs this, over a dumbbell, with nothing of ours in it.

    python -m tools.fidelity.linux JOBS ANSWERS

does each job of a file. It is run inside `tools.qdiscs.uml`, by `uml`, because it takes netem; so it needs
nothing of Python but its own library.

    sender --- queue ======== line --- receiver

There are four network namespaces, joined by veths without offloads; those in the middle are bridges. Behind
the first, netem has the rate and the queue; behind the second it has half of the round trip, and at the
receiver's end the other half and the rate. In the second, between queue and delay, nftables counts the
packets and drops those whose numbers it was told. (The queue cannot be at the sender's end, because what is
dropped there its TCP knows at once; and that kernel's nftables has rules for bridges only.) What netem counts
as its limit is packets, with the one that is being sent: so a queue of bytes is taken for as many packets of
1500 bytes as find room in it, and one more. Of segments, only those with data are counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from tools.namespaces import inside

WAIT = 60  # seconds until a command must be done
SENDER, RECEIVER = "10.97.0.1", "10.97.0.2"
PORT = 5001
CHUNK = 1 << 16
READY = 50_000_000  # nanoseconds, after which the receiver waits for who connects
MTU = 1500
ETHERNET = 14
HUGE = 1_000_000  # packets
LARGEST = 2**31 - 1  # the counter of nftables begins again there
TCP_CONGESTION, TCP_INFO = 13, 11
SIOCETHTOOL = 0x8946
OFFLOADS = (0x1F, 0x24, 0x2C)  # ETHTOOL_STSO, SGSO, SGRO
TOTAL_RETRANSMITTED, MIN_RTT, DATA_SEGMENTS_OUT = 100, 148, 156  # where they are in struct tcp_info


@contextlib.contextmanager
def dumbbell(job: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Make the network, and yield the names of its namespaces; all of it goes again."""
    names = [f"kamaelia-tcp-{os.getpid()}-{which}" for which in ("sender", "queue", "line", "receiver")]
    sender, queue, line, receiver = names
    made = []
    try:
        for name in names:
            _do(f"ip netns add {name}")
            made.append(name)
            inside(name, _settle)
        for near, far in pairwise(names):
            _do(f"ip -n {near} link add right type veth peer name left netns {far}")
            for name, device in ((near, "right"), (far, "left")):
                inside(name, partial(_without_offloads, device))
                _do(f"ip -n {name} link set {device} up")
        for name in (queue, line):
            _do(f"ip -n {name} link add middle type bridge")
            _do(f"ip -n {name} link set middle up")
            for device in ("left", "right"):
                _do(f"ip -n {name} link set {device} master middle")
        _do(f"ip -n {sender} address add {SENDER}/24 dev right")
        _do(f"ip -n {receiver} address add {RECEIVER}/24 dev left")
        rate = f"rate {round(job['rate'])}bit -{ETHERNET}"
        half = f"delay {job['rtt'] / 2 * 1e6:.3f}us limit {HUGE}"
        _do(f"tc -n {queue} qdisc add dev right root netem {rate} limit {job['queue'] // MTU + 1}")
        _do(f"tc -n {line} qdisc add dev right root netem {half}")
        _do(f"tc -n {receiver} qdisc add dev left root netem {rate} {half}")
        _do(f"ip netns exec {line} nft -f -", _rules(job["lost"]))
        _do(f"ip netns exec {sender} ping -c 1 -W 10 {RECEIVER}")  # so that they know one another
        yield sender, queue, line, receiver
    finally:
        for name in made:
            _do(f"ip netns delete {name}")


def _rules(lost: list[int]) -> str:
    """Return what nftables is told: count what comes from the sender, and drop what has these numbers."""
    drops = ", ".join(f"{number} : drop" for number in lost)
    drop = f"ip saddr {SENDER} ip protocol tcp numgen inc mod {LARGEST} vmap {{ {drops} }}" if lost else ""
    return f"""
        table bridge dumbbell {{
            counter came {{ }}
            counter went {{ }}
            chain forward {{
                type filter hook forward priority 0
                ip saddr {SENDER} ip protocol tcp counter name came
                {drop}
                ip saddr {SENDER} ip protocol tcp counter name went
            }}
        }}
    """


def _settle() -> None:
    for path, value in (
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/tcp_no_metrics_save", "1"),
        ("ipv4/tcp_rmem", "4096 131072 6291456"),
        ("ipv4/tcp_wmem", "4096 16384 4194304"),
    ):
        switch = Path("/proc/sys/net", path)
        if switch.exists():
            switch.write_text(value)


def _without_offloads(device: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for offload in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("=II", offload, 0))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def _do(command: str, told: str | None = None) -> str:
    done = subprocess.run(command.split(), input=told, capture_output=True, text=True, timeout=WAIT)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.strip() or done.returncode}")
    return done.stdout


# --- connections --------------------------------------------------------------------------------------


class Connections:
    """Connections one after another, and what is counted of them."""

    def __init__(self, job: dict[str, Any], sender: str, receiver: str) -> None:
        self.job, self.sender = job, sender
        self.listener = inside(receiver, lambda: socket.create_server(("", PORT)))
        self.retransmitted = self.segments = 0
        self.rtt = 0
        """The shortest round trip of the last connection, in microseconds."""

    def send(self, size: float, limit: float) -> tuple[int, float | None]:
        """Send so many bytes over a new connection; return how many the receiver has got within so many
        seconds of connect(), and after how many it had all of them; None if it had not."""
        sock = inside(self.sender, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, self.job["congestion"].encode())
        received: list[tuple[int, int]] = [(0, 0)]  # bytes, and when
        begin = time.monotonic_ns() + READY
        end = begin + round(limit * 1e9)
        taking = threading.Thread(target=self._take, args=(size, end, received))
        taking.start()
        sock.settimeout(limit)
        time.sleep(max(0, begin - time.monotonic_ns()) / 1e9)
        with contextlib.suppress(TimeoutError, ConnectionError):
            sock.connect((RECEIVER, PORT))
            left = size
            while left > 0 and time.monotonic_ns() < end:
                left -= sock.send(bytes(min(CHUNK, int(min(left, CHUNK)))))
            if left <= 0:
                sock.shutdown(socket.SHUT_WR)
        taking.join()
        info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 256)
        self.retransmitted += struct.unpack_from("=I", info, TOTAL_RETRANSMITTED)[0]
        self.segments += struct.unpack_from("=I", info, DATA_SEGMENTS_OUT)[0]
        self.rtt = struct.unpack_from("=I", info, MIN_RTT)[0]
        sock.close()
        amount, when = received[-1]
        return amount, (when - begin) / 1e9 if amount >= size else None

    def _take(self, size: float, end: int, received: list[tuple[int, int]]) -> None:
        amount = 0
        buffer = bytearray(1 << 20)
        with contextlib.suppress(TimeoutError):
            self.listener.settimeout(max(0.001, (end - time.monotonic_ns()) / 1e9))
            sock, _ = self.listener.accept()
            with sock:
                while amount < size and (left := end - time.monotonic_ns()) > 0:
                    sock.settimeout(left / 1e9)
                    amount += (more := sock.recv_into(buffer))
                    received.append((amount, time.monotonic_ns()))
                    if not more:
                        break


def do(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job; what is in it says `uml`."""
    with dumbbell(job) as (sender, queue, line, receiver):
        connections = Connections(job, sender, receiver)
        answer: dict[str, Any] = {}
        with connections.listener:
            if job["what"] == "bulk":
                amount, _ = connections.send(float("inf"), job["seconds"])
                answer |= {"received": amount, "seconds": job["seconds"]}
            else:
                took = []
                for _ in range(job["repeats"]):
                    took.append(connections.send(job["size"], job["limit"])[1])
                    time.sleep(job["pause"])
                answer["took"] = took
        counters = json.loads(_do(f"ip netns exec {line} nft -j list counters"))["nftables"]
        counts = {one["counter"]["name"]: one["counter"]["packets"] for one in counters if "counter" in one}
        shown = json.loads(_do(f"tc -n {queue} -s -j qdisc show dev right"))
        events = inside(sender, lambda: Path("/proc/thread-self/net/netstat").read_text())
    return answer | {
        "version": os.uname().release,
        "segments": connections.segments,
        "retransmitted": connections.retransmitted,
        "timeouts": event(events, "TCPTimeouts"),
        "recoveries": event(events, "TCPSackRecovery") + event(events, "TCPRenoRecovery"),
        "rtt": connections.rtt / 1e6,
        "packets": counts["came"],
        "lost": counts["came"] - counts["went"],
        "dropped": shown[0]["drops"],
    }


def event(text: str, name: str) -> int:
    """Return how often something has happened, from the text of /proc/net/netstat.

    >>> event("TcpExt: A B\\nTcpExt: 3 4\\n", "B")
    4
    """
    names, values = (line.split() for line in text.splitlines()[:2])
    return int(values[names.index(name)])


def main(jobs: str, answers: str) -> None:
    """Do each job of a file, and write what came of it, or why nothing did."""
    with open(answers, "w") as file:
        for job in json.loads(Path(jobs).read_text()):
            try:
                answer = do(job)
            except (OSError, RuntimeError) as error:
                answer = {"failed": str(error)}
            print(json.dumps(answer), file=file, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
