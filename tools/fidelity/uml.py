"""A third judge of TCP: that of Linux itself, in a kernel of its own, with netem and nftables as the network.

`linux` says what is made there. It is real TCP in real time, but nobody else is at work in that kernel, and
no program of ours is on the way of a packet. Its processor is a process of this machine: so round trips are a
little too long, and `Counts.rtt` tells by how much. Its clock ticks a hundred times a second. It needs
Debian's user-mode-linux, kmod, iproute2, nftables and iputils-ping: `make fidelity-deps` installs them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tools.qdiscs.uml import Missing, inside

from .dumbbell import Bulk, Dumbbell, Flows

MODULES = ("veth", "bridge", "sch_netem", "nf_tables", "nft_numgen", "nft_objref")
PROGRAMS = {"nft": "nftables", "ping": "iputils-ping"}  # besides those that `inside` needs
SETTING_UP = 2.0  # seconds


@dataclass(frozen=True)
class BulkJob:
    """Send all the time, for so many seconds."""

    dumbbell: Dumbbell
    seconds: float = 10.0


@dataclass(frozen=True)
class FlowsJob:
    """Send so many bytes again and again: see `ns3.flows`."""

    dumbbell: Dumbbell
    size: int
    repeats: int = 1
    pause: float = 0.3
    limit: float = 30.0


def run(jobs: Sequence[BulkJob | FlowsJob]) -> list[Bulk | Flows]:
    """Do all jobs in one kernel, which is booted for this.

    Raises `Missing` where there is no such kernel, or not all was done in it, and `ValueError` for congestion
    control that Linux does not have.
    """
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise Missing(f"no program {program}: `make fidelity-deps` installs {package}")
    length = 0.0
    for job in jobs:
        if job.dumbbell.congestion not in ("cubic", "reno"):
            raise ValueError(f"congestion={job.dumbbell.congestion!r}: Linux has cubic and reno")
        least = job.seconds if isinstance(job, BulkJob) else job.repeats * (1 + job.pause)
        length += least + SETTING_UP
    version, answers = inside("tools.fidelity.linux", [_told(job) for job in jobs], MODULES, length)
    for answer in answers:
        if "failed" in answer:
            raise Missing(f"Linux {version}: {answer['failed']}")
    return [_read(answer) for answer in answers]


def _told(job: BulkJob | FlowsJob) -> dict[str, Any]:
    bell = job.dumbbell
    told = {
        "rate": bell.rate,
        "rtt": bell.rtt,
        "queue": bell.queue,
        "congestion": bell.congestion,
        "lost": sorted(bell.lost),
    }
    if isinstance(job, BulkJob):
        return {"what": "bulk", "seconds": job.seconds, **told}
    times = {"pause": job.pause, "limit": job.limit}
    return {"what": "flows", "size": job.size, "repeats": job.repeats, **times, **told}


def _read(answer: dict[str, Any]) -> Bulk | Flows:
    if "took" in answer:
        return Flows(**{**answer, "took": tuple(answer["took"])})
    return Bulk(**answer)
