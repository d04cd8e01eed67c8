"""The same network on real sockets: all hosts in one event loop of this machine, in real time.

Each host has its own Axon system, so names of services are apart as in a simulation. What the loop does
differently from asyncio's is one thing: it knows the names of the hosts, and all of them mean 127.0.0.1.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .hostrun import HostRun, judge
from .measures_network import Metrics, measures_of
from .trace import Trace

if TYPE_CHECKING:
    from .network import Network


HEAD_START = 0.01  # seconds between the starts of two hosts


class LoopbackLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, which also knows the hosts of a network by name."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """See asyncio."""
        name = host.decode("ascii") if isinstance(host, bytes) else host
        return await super().getaddrinfo(
            "127.0.0.1" if name in self._network.hosts else host, port, **options
        )


def run_on_loopback(
    network: Network, seed: int | str, grace: float, seconds: float, until: str | None, errors: str
) -> Trace:
    """Run what the hosts run, and return or raise what came of it."""
    runs: list[HostRun] = []

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for host in network.hosts.values():
            if host.patterns:
                run = HostRun(host.name, loop, host.patterns, seed, grace)
                runs.append(run)
                run.system.start(*run.components)
                await asyncio.sleep(HEAD_START)
        awaited = [run.system.finished for run in runs if until in (None, run.name)]
        if awaited:
            await asyncio.wait(awaited, timeout=seconds)
        for run in runs:
            if not run.system.is_over:
                run.system.stop()
        for run in runs:
            await run.system.wait()
        return loop.time() - began

    with asyncio.Runner(loop_factory=lambda: LoopbackLoop(network)) as runner:
        took = runner.run(main())
    return Trace(
        seed=seed,
        recorder=None,
        metrics=Metrics(took, {}, {}, measures_of(runs)),
        errors=judge(runs, errors, f"seed {seed!r}"),
        results={run.name: run.result for run in runs},
    )
