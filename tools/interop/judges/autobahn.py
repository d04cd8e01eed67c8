"""The Autobahn test suite, which is what people mean by "speaks WebSocket": see `tools/autobahn.py`."""

from __future__ import annotations

import json
import sys

from tools import autobahn

from ..judge import Judge, Missing
from ..workshop import ROOT, Workshop, Wrong

judge = Judge("autobahntestsuite", version=["echo", autobahn.SUITE])
OUT = ROOT / ".autobahn"
HOURS = 2.0  # for all cases of one role, of ours and of websockets


def cases(shop: Workshop, role: str) -> str:
    """Run all cases of a role; return how they went, and those of `websockets` beside ours."""
    try:
        autobahn.install()
    except SystemExit as error:
        raise Missing(str(error)) from None
    out = OUT / role
    command = (sys.executable, "-m", "tools.autobahn", "--role", role, "--out", out)
    done = shop.run(*command, code=None, timeout=HOURS * 3600)
    if done.code != 0:
        wrong = [line for line in done.text.splitlines() if line.startswith(role)]
        raise Wrong("; ".join(wrong) or done.err.strip()[-300:])
    agents = json.loads((out / "summary.json").read_text())[role]
    return "; ".join(_told(name, agents[name]) for name in autobahn.AGENTS)


def _told(name: str, one: dict[str, dict[str, int]]) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in sorted(one["behaviour"].items()))
    return f"{name}: {one['cases']} cases, {counts}"


SEEN = "no case fails, and none is non-strict that is not so with the server of `websockets`"


@judge.case("WebSocketServer", "all cases of its fuzzing client", SEEN)
def server(shop: Workshop) -> str:
    return cases(shop, "server")


@judge.case("WebSocketClient", "all cases of its fuzzing server", SEEN.replace("server", "client"))
def client(shop: Workshop) -> str:
    return cases(shop, "client")
