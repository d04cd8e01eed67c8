"""Servers of HTTP on one core, load from a compiled client on another: small answers, and a large file.

Beside requests a second it is told how long an answer takes, and how much processor time the server spends on
one: that hardly changes when the machine has other things to do.
"""

from __future__ import annotations

import os
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from .contest import Contest, Line, Measure, Server, Target, cores, latencies, run_line
from .ours import Forms
from .programs import BUILD, FOLDER, C, Installed, Missing, Python

CONNECTIONS, SECONDS = 100, 3
HELLO = b"Hello, world!\n"  # what all of them answer
FILE, FILE_SIZE = "ten-megabytes", 10_000_000
FILE_CONNECTIONS, FILE_DURATION = 4, 2000  # milliseconds
START = 10.0  # seconds within which a server has to answer

RATE = Measure("rate", "requests a second")
VOLUME = Measure("volume", "bytes a second", "B/s")
CPU = Measure("cpu", "processor time of the server for each", "s", more_is_better=False)
LATENCIES = latencies("answers")

UVICORN, WITH_H11 = "uvicorn with httptools", "uvicorn with h11"
WANTED = {UVICORN: 1.2, WITH_H11: 1.0, "aiohttp": 1.0}
WANTED_OF_FILES = 0.8


@dataclass(frozen=True)
class Asked(Server):
    """A server of HTTP, asked for "/" by wrk."""

    path: str = "/"

    def run(self, amount: int) -> Line:
        wanted = self.wanted()
        with self.served() as (process, about):
            url = f"http://127.0.0.1:{about['port']}{self.path}"
            if wait_for(url) != wanted:
                raise Missing(f"has not answered with the {len(wanted):,} bytes that were asked for")
            before = processor_time(process.pid)
            line = self.ask(url)
            line["cpu"] = (processor_time(process.pid) - before) / max(1, line["requests"])
            return about | line

    def wanted(self) -> bytes:
        """Return what the answer has to be."""
        return HELLO

    def ask(self, url: str) -> Line:
        words = ["--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{SECONDS}s"]
        script = ["--script", str(FOLDER / "peers" / "wrk.lua")]
        command = [*Installed("wrk", "wrk").command(), *words, *script, url]
        line = run_line(command, {}, cores()[0], self.limit)
        if line["errors"]:
            raise Missing(f"wrk has seen {line['errors']} errors")
        return line


@dataclass(frozen=True)
class AskedForFile(Asked):
    """The same, asked for a large file."""

    path: str = f"/{FILE}"

    def wanted(self) -> bytes:
        return make_file().read_bytes()

    def ask(self, url: str) -> Line:
        port = url.split(":")[2].partition("/")[0]
        words = [port, self.path, str(FILE_CONNECTIONS), str(FILE_DURATION)]
        return run_line([*C("download").command(), *words], {}, cores()[0], self.limit)


def make_file() -> Path:
    """Return the file that is asked for; it goes where git does not look."""
    path = BUILD / "files" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size != FILE_SIZE:
        path.write_bytes(os.urandom(FILE_SIZE))
    return path


def wait_for(url: str) -> bytes:
    """Wait until a server answers; return what."""
    end = time.monotonic() + START
    while True:
        try:
            with urllib.request.urlopen(url, timeout=START) as answer:
                body: bytes = answer.read()
                return body
        except (OSError, HTTPException) as error:
            if time.monotonic() > end:
                raise Missing(f"did not answer within {START:g} s: {error}") from None
        time.sleep(0.02)


def processor_time(group: int) -> float:
    """Return how many seconds the processes of a group have worked."""
    ticks = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"{entry.path}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def contests(forms: Forms) -> list[Contest]:
    return [small(forms), file(forms)]


def small(forms: Forms) -> Contest:
    ours, asgi = Python(forms.version, "http_kamaelia"), Python(forms.version, "http_asgi")
    return Contest(
        "http-100",
        f"HTTP server, a function answers, {CONNECTIONS} connections",
        (RATE, *LATENCIES, CPU),
        (
            *forms.contestants(Asked("Kamaelia", ours, ("function",))),
            Asked("Kamaelia, a fixed page", ours, ("page",)),
            Asked("Kamaelia, a component for each request", ours, ("component",)),
            Asked(UVICORN, asgi, ("httptools",)),
            Asked(WITH_H11, asgi, ("h11",)),
            Asked("aiohttp", Python(forms.version, "http_aiohttp")),
            Asked("granian", asgi, ("granian",)),
            Asked("nginx", Python(forms.version, "http_nginx"), (str(BUILD / "files"),)),
        ),
        tuple(Target(factor, peer) for peer, factor in WANTED.items()),
    )


def file(forms: Forms) -> Contest:
    folder = str(BUILD / "files")
    ours = AskedForFile("Kamaelia", Python(forms.version, "http_kamaelia"), ("static", folder))
    return Contest(
        "http-file",
        f"HTTP server, a file of 10 MB, {FILE_CONNECTIONS} connections",
        (VOLUME, *LATENCIES, CPU),
        (
            *forms.contestants(ours),
            AskedForFile("nginx", Python(forms.version, "http_nginx"), (folder,)),
        ),
        (Target(WANTED_OF_FILES, "nginx", VOLUME.key),),
    )
