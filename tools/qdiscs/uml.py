"""Boot a kernel that has netem, codel, fq_codel and red, and have it do jobs: Debian's user-mode-linux.

It is a Linux kernel as a program of this machine, which needs no right and no virtual machine, and boots in a
second or two. It sees the files of this machine, and may not write them: the root is mounted read-only, so a
network namespace that is made inside leaves nothing outside, and `/run` and `/tmp` are in its memory. Only
one folder, made for the purpose, can be written: jobs and answers lie there. It has no network but its own.

The jobs are done by `real`, with the Python that runs this. What the time is worth in there, two of the
scenarios find out: it is one processor, with timers of the machine's own kernel. Who may have it run before
others, as root may, does: with others at work its timers are late by milliseconds, and then by 0.1.
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

from .real import Seen
from .streams import Packet

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "linux.uml"
MODULES = "/usr/lib/uml/modules"
NEEDED = ("veth", "sch_netem", "sch_codel", "sch_fq_codel", "sch_red", "sch_tbf")
MEMORY = "1G"
BOOT = 60.0  # seconds, in which it is up and down again, over what the jobs take

# Without PATH there is no insmod; and an init that ends makes the kernel panic, so it switches it off.
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
    for module in {modules}; do
        insmod "$(find {places}/"$(uname -r)" -name "$module.ko")" || echo "no module $module"
    done
    cd {root}
    {python} -m tools.qdiscs.real /mnt/jobs /mnt/answers
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
    for program, package in ((KERNEL, "user-mode-linux"), ("insmod", "kmod"), ("tc", "iproute2")):
        if shutil.which(program) is None:
            raise Missing(f"no program {program}: `make qdiscs-deps` installs {package}")
    length = sum(job.packets[-1].time / 1e9 + job.tail + 1 for job in jobs)
    with tempfile.TemporaryDirectory(prefix="kamaelia-uml-") as name:
        folder = Path(name)
        listed = [{"qdiscs": job.qdiscs, "packets": job.packets, "tail": job.tail} for job in jobs]
        (folder / "jobs").write_text(json.dumps(listed))
        init = folder / "init"
        modules = " ".join(NEEDED)
        init.write_text(
            INIT.format(folder=folder, modules=modules, places=MODULES, root=ROOT, python=sys.executable)
        )
        init.chmod(0o755)
        _boot(folder, init, BOOT + 3 * length)
        log = _read(folder / "log") or _read(folder / "console")[-2000:]
        lines = _read(folder / "answers").splitlines()
        if len(lines) != len(jobs):
            raise Missing(f"the kernel has done {len(lines)} of {len(jobs)} jobs, and said: {log.strip()}")
        return _read(folder / "version").strip(), [_answer(line) for line in lines]


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


def _answer(line: str) -> Answer:
    found = json.loads(line)
    if "failed" in found:
        return Answer(None, found["failed"])
    came = [(number, time, ecn) for number, time, ecn in found["came"]]
    return Answer(Seen(found["arrived"], came, found["counts"]))
