"""Boot a kernel that has netem, codel, fq_codel and red, and have it do jobs: Debian's user-mode-linux.

It is a Linux kernel as a program of this machine, which needs no right and no virtual machine, and boots in a
second or two. It sees the files of this machine, and may not write them: the root is mounted read-only, so a
network namespace that is made inside leaves nothing outside, and `/run` and `/tmp` are in its memory. Only
one folder, made for the purpose, can be written: jobs and answers lie there. It has no network but its own.

The jobs are done by a module that needs only Python's own library, such as `real`, with the Python that runs
this. What the time is worth in there, two of the scenarios find out: it is one processor, with timers of the
machine's own kernel. Who may have it run before others, as root may, does: with others at work its timers
are late by milliseconds, and then by 0.1.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .real import Seen
from .streams import Packet

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "linux.uml"
MODULES = "/usr/lib/uml/modules"
NEEDED = ("veth", "sch_netem", "sch_codel", "sch_fq_codel", "sch_red", "sch_tbf")
MEMORY = "1G"
BOOT = 60.0  # seconds, in which it is up and down again, over what the jobs take

# Without PATH there is no modprobe, which looks for modules in /lib/modules of a root. An init that ends
# makes the kernel panic, so it switches it off.
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
mount -t tmpfs tmp /tmp
mount -t hostfs -o {folder} jobs /mnt
{{
    echo 1 > /proc/sys/kernel/sysrq
    ip link set lo up
    mkdir -p /run/root/lib
    ln -s {places} /run/root/lib/modules
    modprobe -d /run/root -a {modules}
    cd {root}
    {python} -m {program} /mnt/jobs /mnt/answers
    uname -r > /mnt/version
}} > /mnt/log 2>&1
echo o > /proc/sysrq-trigger
sleep 10
"""


class Missing(Exception):
    """Something is not there that this needs; the message says what, and what would provide it."""


@dataclass(frozen=True)
class Job:
    """Packets to be sent through qdiscs: see `real.through`."""

    qdiscs: Sequence[str]
    packets: Sequence[Packet]
    tail: float = 0.5


@dataclass(frozen=True)
class Answer:
    """What came of a job."""

    seen: Seen | None
    failed: str = ""
    """Why nothing was seen."""


def run(jobs: Sequence[Job]) -> tuple[str, list[Answer]]:
    """Do all jobs in one kernel, which is booted for this; return its version, and an answer for each.

    Raises `Missing` where there is no such kernel, or it did not get as far as to do any.
    """
    length = sum(job.packets[-1].time / 1e9 + job.tail + 1 for job in jobs)
    listed = [{"qdiscs": job.qdiscs, "packets": job.packets, "tail": job.tail} for job in jobs]
    version, answers = inside("tools.qdiscs.real", listed, NEEDED, length)
    return version, [_answer(found) for found in answers]


def inside(
    program: str, jobs: Sequence[Any], modules: Sequence[str], length: float
) -> tuple[str, list[dict[str, Any]]]:
    """Have a module do jobs in a kernel of their own; return its version, and what was answered to each.

    Arguments:
        program: the module, which is given the names of two files; it finds the jobs in the one, as JSON, and
            writes a line of JSON for each into the other
        jobs: what can be written as JSON
        modules: of the kernel, that are to be loaded
        length: seconds that all of them take; three times that is waited for

    Raises `Missing` where there is no such kernel, or not all of it was done.
    """
    for name, package in ((KERNEL, "user-mode-linux"), ("modprobe", "kmod"), ("tc", "iproute2")):
        if shutil.which(name) is None:
            raise Missing(f"no program {name}: `make qdiscs-deps` installs {package}")
    with tempfile.TemporaryDirectory(prefix="kamaelia-uml-") as made:
        folder = Path(made)
        (folder / "jobs").write_text(json.dumps(jobs))
        init = folder / "init"
        names = {"folder": folder, "modules": " ".join(modules), "places": MODULES, "root": ROOT}
        init.write_text(INIT.format(program=program, python=sys.executable, **names))
        init.chmod(0o755)
        _boot(folder, init, BOOT + 3 * length)
        log = _read(folder / "log") or _read(folder / "console")[-2000:]
        lines = _read(folder / "answers").splitlines()
        if len(lines) != len(jobs):
            raise Missing(f"the kernel has done {len(lines)} of {len(jobs)} jobs, and said: {log.strip()}")
        return _read(folder / "version").strip(), [json.loads(line) for line in lines]


def _boot(folder: Path, init: Path, limit: float) -> None:
    command = [KERNEL, f"mem={MEMORY}", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}"]
    command += [f"uml_dir={folder}", "umid=kamaelia", "con=null", "con0=null,fd:1"]
    environ = {**os.environ, "TMPDIR": str(folder)}  # where its memory lies
    with open(folder / "console", "w") as console:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=environ,
            cwd=folder,
            preexec_fn=_before_others,
            start_new_session=True,  # it is many processes
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Missing(f"the kernel was not done after {limit:.0f} s") from None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # as it should be: nothing is left
            process.wait()


def _before_others() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass  # it works without, and the scenarios that measure the clock tell


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _answer(found: dict[str, Any]) -> Answer:
    if "failed" in found:
        return Answer(None, found["failed"])
    came = [(number, time, ecn) for number, time, ecn in found["came"]]
    return Answer(Seen(found["arrived"], came, found["counts"]))
