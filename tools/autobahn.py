"""Have the Autobahn test suite judge our WebSocket server and client, and those of `websockets` beside them.

    python -m tools.autobahn [--out FOLDER] [--role server|client] [--cases '1.*' '12.1.*']

The suite is a program for Python 2.7, which has to be there (as python2.7 on PATH, or with pyenv); it is
installed into an environment of its own, .venv-autobahn. Two figures matter of each case: how a peer behaved,
and how it closed. The summary, as JSON and as Markdown, counts them, and lists what was not simply in order.
The exit code is 1 if ours has failed a case, behaves non-strictly in one where `websockets` does not, or has
not come through one that `websockets` has.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.ports import free_port, free_ports

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-autobahn"
SUITE = "autobahntestsuite==25.10.1"
# What the suite pins, but pip would have to find out: these come first.
FIRST = ("setuptools==44.0.0", "incremental==16.10.1")
LIMIT = 64 * 1024 * 1024  # bytes of a message: the suite sends up to 16 MB
ITSELF = (sys.executable, "-m", "tools.autobahn")
AGENTS = ("kamaelia", "websockets")
GOOD = ("OK", "INFORMATIONAL", "UNIMPLEMENTED")
WAIT = 3600.0  # seconds for all cases of one agent


# --- the peers that are judged ----------------------------------------------------------------------


def serve_kamaelia(port: int) -> None:
    from kamaelia import run
    from kamaelia.protocol.websocket import WebSocketServer

    run(WebSocketServer(repeat(), port, message_limit=LIMIT, quiet=True))


def repeat() -> Any:
    """Return a component that sends back what it gets, text as text."""
    from kamaelia import Component, Inbox, Outbox

    class Repeat(Component):
        inbox = Inbox[str | bytes]("messages")
        outbox = Outbox[str | bytes]("the same")

        async def main(self) -> None:
            async for message in self.inbox:
                await self.outbox.send(message)

    return Repeat()


def ask_kamaelia(url: str) -> str | None:
    """Connect, send back what comes until the server closes, and return the first message."""
    from kamaelia import Graphline, run
    from kamaelia.axon import ComponentsFailed, postman
    from kamaelia.protocol.websocket import WebSocketClient

    client, echo = WebSocketClient(url, message_limit=LIMIT), repeat()
    first: list[str] = []
    postman.tap(client.outbox, callback=lambda tapped: first or first.append(tapped.message))
    with contextlib.suppress(ComponentsFailed):  # most cases are about what a client must not take
        run(Graphline(client.outbox >> echo.inbox, echo.outbox >> client.inbox))
    return first[0] if first else None


async def serve_websockets(port: int) -> None:
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    async def echo(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    async with serve(echo, "127.0.0.1", port, max_size=LIMIT) as server:
        await server.serve_forever()


async def ask_websockets(url: str) -> Any:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    first = None
    async with connect(url, max_size=LIMIT) as connection:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                first = message if first is None else first
                await connection.send(message)
    return first


def serve(agent: str, port: int) -> None:
    """Be a server that sends everything back."""
    if agent == "kamaelia":
        serve_kamaelia(port)
    else:
        asyncio.run(serve_websockets(port))


def visit(agent: str, port: int) -> None:
    """Be a client, in all cases that a fuzzing server has."""

    def ask(path: str) -> Any:
        url = f"ws://127.0.0.1:{port}{path}"
        return ask_kamaelia(url) if agent == "kamaelia" else asyncio.run(ask_websockets(url))

    logging.disable(logging.CRITICAL)  # most cases are about what a client has to complain of
    count = int(ask("/getCaseCount"))
    for case in range(1, count + 1):
        try:
            ask(f"/runCase?case={case}&agent={agent}")
        except Exception as error:  # of whatever kind: the suite says what it thinks of it
            print(f"{agent}, case {case}: {type(error).__name__}: {error}", file=sys.stderr)
    ask(f"/updateReports?agent={agent}")


# --- the suite ----------------------------------------------------------------------------------------


def install() -> Path:
    """Return the suite's program, installed if it was not."""
    program = ENVIRONMENT / "bin" / "wstest"
    if not program.exists():
        candidates = [shutil.which("python2.7"), *Path.home().glob(".pyenv/versions/2.7*/bin/python2.7")]
        python = next((one for one in candidates if one is not None and runs(one)), None)
        if python is None:
            raise SystemExit("The Autobahn test suite needs Python 2.7: none is on PATH, or with pyenv.")
        print(f"Installing {SUITE} into {ENVIRONMENT.name}.", flush=True)
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        maker = ENVIRONMENT / "maker"  # the last virtualenv that makes environments for Python 2.7
        do(sys.executable, "-m", "venv", maker)
        do(maker / "bin" / "pip", "install", "--quiet", "virtualenv<20.22")
        do(maker / "bin" / "virtualenv", "--quiet", "--python", python, ENVIRONMENT)
        pip = ENVIRONMENT / "bin" / "pip"
        do(pip, "install", "--quiet", *FIRST)
        do(pip, "install", "--quiet", SUITE)
    return program


def runs(python: Any) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def do(*command: Any) -> None:
    subprocess.run(list(map(str, command)), check=True)


@contextlib.contextmanager
def running(*command: Any, port: int) -> Iterator[None]:
    """Run a server until the block ends; it listens on that port when the block begins."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def judge_servers(suite: Path, out: Path, cases: list[str]) -> Any:
    """Run the fuzzing client against each server; return what it says."""
    folder = out / "servers"
    with contextlib.ExitStack() as stack:
        servers = []
        for agent, port in zip(AGENTS, free_ports(len(AGENTS)), strict=True):
            stack.enter_context(running(*ITSELF, "--serve", agent, port, port=port))
            servers.append({"agent": agent, "url": f"ws://127.0.0.1:{port}"})
        spec = write_spec(out, "fuzzingclient", outdir=str(folder), servers=servers, cases=cases)
        subprocess.run(
            [suite, "--mode", "fuzzingclient", "--spec", spec],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=len(AGENTS) * WAIT,
        )
    return json.loads((folder / "index.json").read_text())


def judge_clients(suite: Path, out: Path, cases: list[str]) -> Any:
    """Run each client against the fuzzing server; return what it says."""
    folder, port = out / "clients", free_port()
    spec = write_spec(
        out, "fuzzingserver", outdir=str(folder), url=f"ws://127.0.0.1:{port}", cases=cases, webport=0
    )
    with running(suite, "--mode", "fuzzingserver", "--webport", 0, "--spec", spec, port=port):
        for agent in AGENTS:
            subprocess.run([*ITSELF, "--visit", agent, str(port)], check=True, timeout=WAIT)
    return json.loads((folder / "index.json").read_text())


def write_spec(out: Path, mode: str, **spec: Any) -> Path:
    path = out / f"{mode}.json"
    path.write_text(json.dumps({**spec, "exclude-cases": [], "exclude-agent-cases": {}}))
    return path


# --- what came of it ----------------------------------------------------------------------------------


def summed_up(index: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return for each agent how often it behaved how, and which cases were not in order."""
    return {
        agent: {
            "cases": len(cases),
            "behaviour": dict(Counter(case["behavior"] for case in cases.values())),
            "close": dict(Counter(case["behaviorClose"] for case in cases.values())),
            "not in order": {
                number: [case["behavior"], case["behaviorClose"]]
                for number, case in sorted(cases.items(), key=lambda item: in_order(item[0]))
                if case["behavior"] != "OK" or case["behaviorClose"] not in GOOD
            },
        }
        for agent, cases in index.items()
    }


def in_order(number: str) -> list[int]:
    return [int(part) for part in number.split(".")]


def complaints(role: str, index: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Return what is wrong with ours: what failed, what is non-strict only of us, and what is missing."""
    all_ours, all_theirs = (index.get(agent, {}) for agent in AGENTS)
    found = [] if all_ours else [f"{role}: there is no case of ours"]
    for number in sorted(all_theirs.keys() - all_ours.keys(), key=in_order):
        found.append(f"{role}, case {number}: missing, of websockets {all_theirs[number]['behavior']}")
    for number, case in sorted(all_ours.items(), key=lambda item: in_order(item[0])):
        theirs = all_theirs.get(number, {})
        for key in ("behavior", "behaviorClose"):
            bad = case[key] not in (*GOOD, "NON-STRICT")
            worse = case[key] == "NON-STRICT" and theirs.get(key) != "NON-STRICT"
            if bad or worse:
                found.append(f"{role}, case {number}: {key} is {case[key]}, of websockets {theirs.get(key)}")
    return found


def as_markdown(summary: dict[str, Any]) -> str:
    kinds = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")
    lines = ["| role | who | cases | " + " | ".join(kinds) + " | closes in order |", "| --- " * 9 + "|"]
    for role, agents in summary.items():
        for agent, one in agents.items():
            counts = [str(one["behaviour"].get(kind, 0)) for kind in kinds]
            closes = sum(one["close"].get(kind, 0) for kind in GOOD)
            lines.append(f"| {role} | {agent} | {one['cases']} | {' | '.join(counts)} | {closes} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / ".autobahn", help="folder for the reports")
    parser.add_argument("--role", choices=("server", "client"), help="only this one")
    parser.add_argument("--cases", nargs="+", default=["*"], help="such as 1.* or 12.1.1")
    parser.add_argument("--serve", nargs=2, metavar=("AGENT", "PORT"), help=argparse.SUPPRESS)
    parser.add_argument("--visit", nargs=2, metavar=("AGENT", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], int(options.serve[1]))
        return 0
    if options.visit:
        visit(options.visit[0], int(options.visit[1]))
        return 0
    suite = install()
    options.out.mkdir(parents=True, exist_ok=True)
    summary, wrong = {}, []
    for role, judge in (("server", judge_servers), ("client", judge_clients)):
        if options.role in (None, role):
            index = judge(suite, options.out, options.cases)
            summary[role] = summed_up(index)
            wrong += complaints(role, index)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (options.out / "summary.md").write_text(as_markdown(summary))
    print(as_markdown(summary))
    print("\n".join(wrong) or "Nothing failed, and nothing is non-strict that is not of websockets too.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
