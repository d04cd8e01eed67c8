"""Any mixture of loss, reordering, duplicates, small buffers, odd programs: the bytes come as they went."""

from __future__ import annotations

import errno
import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.testbed import LinuxTCP, tcp
from kamaelia.testbed.tcp.connection import CLOSED

from .harness import MS, SECOND, Wire

AGAIN, LOST, SACKED = 4, 2, 1


class Checked(Wire):
    """A wire that looks at both ends after each thing that happens."""

    edges: dict[str, int]

    def arrive(self, side: str, segment: Any, mark: int = 0) -> None:
        if segment.flags & 16:
            window = segment.ack + segment.window
            self.edges[side] = max(self.edges.get(side, 0), window)
        super().arrive(side, segment, mark)

    def carry(self, side: str, segment: Any) -> None:
        if segment.data:
            assert segment.end() - (segment.flags & 1) <= self.edges[side], "beyond the window"
            assert len(segment.data) + segment.options <= 1460
        super().carry(side, segment)

    def follow_up(self, side: str) -> None:
        super().follow_up(side)
        self.check(side)

    def check(self, side: str) -> None:
        end = self.ends[side]
        sender, board, receiver = end.sender, end.sender.board, end.receiver
        pieces = board.pieces[board.head :]
        assert board.sacked_out == sum(bool(one.marks & SACKED) for one in pieces)
        assert board.lost_out == sum(bool(one.marks & LOST) for one in pieces)
        assert board.again_out == sum(bool(one.marks & AGAIN) for one in pieces)
        assert board.in_flight() >= 0
        lost = next((one.seq for one in pieces if one.marks & (LOST | AGAIN | SACKED) == LOST), None)
        assert lost is None or board.lost_from <= lost
        if end.state != CLOSED and pieces:
            assert pieces[0].seq == sender.una and pieces[-1].end == sender.nxt
            assert all(one.end == other.seq for one, other in itertools.pairwise(pieces))
            assert sender.deadline < 2**62, "nothing would be sent again"
        assert sender.window.size >= 1
        assert receiver.held_bytes == sum(len(one.data) for one in receiver.held)
        assert receiver.arrived_bytes == sum(map(len, receiver.arrived))
        assert sender.unsent_bytes == sum(map(len, sender.unsent)) - sender.unsent_from


def run_mixture(
    seed: int, loss: float, jumble: float, double: float, small: bool, congestion: str, form: Any
) -> Checked:
    """Run one mixture to its end, and return what was on the wire."""
    chance = random.Random(seed)
    sizes = (4096, chance.choice([4096, 8192, 20000]), chance.choice([20000, 60000]))
    rmem = sizes if small else (4096, 131072, 6291456)
    wmem = sizes if small and chance.random() < 0.5 else (4096, 16384, 4194304)
    hz = chance.choice([0, 100, 250, 1000])
    options = LinuxTCP(
        congestion=congestion,
        rmem=rmem,
        wmem=wmem,
        hz=hz,
        ecn=chance.random() < 0.5,
        retries=40,
        syn_retries=40,
        synack_retries=40,
    )

    def way(side: str, number: int, segment: Any) -> list[int]:
        copies = []
        for _ in range(2 if chance.random() < double else 1):
            if chance.random() >= loss:
                copies.append(10 * MS + int(chance.random() * 40 * MS * (chance.random() < jumble)))
        return copies

    wire = Checked(options, way=way, reads=(), tcp=form)
    wire.edges = {}
    wire.marks = {(side, n) for side in ("client", "server") for n in range(2000) if chance.random() < 0.02}
    data = {
        side: chance.randbytes(chance.choice([0, 1, 3000, 20_000, 100_000])) for side in ("client", "server")
    }
    left = dict(data)
    done: set[str] = set()

    def program(side: str) -> None:
        """Read some, write some, and close when all is written and all was read."""
        end = wire.ends.get(side)
        if end is not None and not end.is_closed:
            if chance.random() < 0.7:
                wire.got[side] += wire.do(side, "read", chance.choice([1, 1000, 10_000, 10**6]))
            if left[side] and end.state >= 2:
                piece = left[side][: chance.choice([1, 100, 1448, 30_000])]
                left[side] = left[side][wire.do(side, "send", piece) :]
            elif end.state >= 2 and not left[side] and side not in done:
                done.add(side)
                wire.do(side, "shut_down")
            elif end.has_ended() and side in done and (not end.sender.waiting() or end.error):
                wire.do(side, "close")
                return
        pause = chance.choice([1, 5, 30, 200 if small else 3]) if wire.now < 20 * SECOND else 1000
        wire.at(wire.now + pause * MS, lambda: program(side))

    wire.do("client", "open")
    for side in ("client", "server"):
        program(side)
    wire.run(50_000 * SECOND)
    for side, other in (("client", "server"), ("server", "client")):
        assert wire.ends[side].state == CLOSED, f"the {side} is {wire.ends[side].state}"
        assert wire.got[side] == data[other]
        # Who has all, and has closed, answers what comes late by breaking off.
        assert wire.ends[side].error in (0, errno.ECONNRESET)
    return wire


mixtures = given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    jumble=st.sampled_from([0.0, 0.1, 1.0]),
    double=st.sampled_from([0.0, 0.1]),
    small=st.booleans(),
    congestion=st.sampled_from(["cubic", "reno"]),
)


@pytest.mark.one_core
@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@mixtures
def test_what_is_sent_arrives_and_both_forms_say_the_same(**mixture: Any) -> None:
    from kamaelia.testbed import _tcp

    compiled = run_mixture(**mixture, form=_tcp)
    plain = run_mixture(**mixture, form=tcp)
    assert compiled.lines == plain.lines
    assert compiled.now == plain.now
