"""A file is sent chunk by chunk, each until it is acknowledged; the last word, "end", is sent only once.

When that is lost, the receiver has everything and does not know it.
"""

from __future__ import annotations

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

CHUNKS = [f"chunk-{number}" for number in range(10)]


class Sender(Component):
    def __init__(self, faulty: bool) -> None:
        self.faulty = faulty

    async def main(self) -> None:
        for number, word in enumerate([*CHUNKS, "end"]):
            while True:
                await self.outbox.send(to("receiver", number, word))
                if word == "end" and self.faulty:
                    await sleep(1)  # for the socket goes with the sender
                    return
                try:
                    reply = await self.inbox.receive(timeout=0.3)
                except TimeoutError:
                    continue
                if int(reply.data) == number:
                    break


class Receiver(Component):
    def __init__(self, got: list[str]) -> None:
        self.got = got

    async def main(self) -> None:
        async for message in self.inbox:
            number, word = message.data.decode().split()
            if int(number) == len(self.got):
                self.got.append(word)
            await self.outbox.send(answer(message, number))


@simulated(seeds=1000, seconds=20, within="60 s")
def protocol(network, faulty):
    got: list[str] = []
    network.host("receiver").run(on_udp(Receiver(got)))
    network.host("sender").run(on_udp(Sender(faulty)))
    network.link("sender", "receiver", delay="20 ms", loss="1 %")
    yield network
    assert got == [*CHUNKS, "end"], f"the receiver has {len(got)} of {len(CHUNKS) + 1}"
