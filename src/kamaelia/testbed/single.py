"""One simulated host alone: an asyncio loop with simulated sockets and virtual time, and nothing else.

For what is no component: any asyncio program, or a test of one, that is to talk to itself without the
machine's network and clock. Networks of several hosts are made by `Network`.
"""

from __future__ import annotations

from .loop import HostLoop
from .network import GRACE, Network
from .simulation import Simulation


def single_host_loop() -> HostLoop:
    """Return an asyncio loop with simulated sockets, for ``asyncio.Runner(loop_factory=single_host_loop)``.

    It is the loop of the one host of a network of its own; the host is called ``host``. Time is virtual, and
    goes on as far as the loop runs. Each call makes another.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     async def serve(reader, writer):
        ...         writer.write((await reader.readline()).upper())
        ...         writer.close()
        ...
        ...     async with await asyncio.start_server(serve, "localhost", 80):
        ...         reader, writer = await asyncio.open_connection("localhost", 80)
        ...         writer.write(b"hello\\n")
        ...         answer = await reader.read()
        ...         writer.close()
        ...         await asyncio.sleep(3600)
        ...     return answer, asyncio.get_running_loop().time()
        >>> with asyncio.Runner(loop_factory=single_host_loop) as runner:
        ...     runner.run(main())
        (b'HELLO\\n', 3600.0)
    """
    network = Network()
    name = network.host("host").name
    simulation = Simulation(network, seed=0, grace=GRACE, keep=None)
    return simulation.loop_of(simulation.stacks[name])
