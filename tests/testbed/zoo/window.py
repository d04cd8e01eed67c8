"""Go back n, with numbers of two bits; the window is as large as there are numbers, and not one less.

When the acknowledgements of a full window are lost, it is sent again, and its numbers are just those that the
receiver takes for the next window.
"""

from __future__ import annotations

from kamaelia import Component, clock
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

NUMBERS = 4
WORDS = [f"word-{number}" for number in range(60)]


class Sender(Component):
    def __init__(self, faulty: bool) -> None:
        self.window = NUMBERS if faulty else NUMBERS - 1

    async def main(self) -> None:
        base = following = 0
        while base < len(WORDS):
            while following < min(base + self.window, len(WORDS)):
                await self.outbox.send(to("receiver", following % NUMBERS, WORDS[following]))
                following += 1
                sent = clock()
            try:
                reply = await self.inbox.receive(timeout=max(0.001, sent + 0.2 - clock()))
            except TimeoutError:
                following = base
                continue
            base += (int(reply.data) - base) % NUMBERS


class Receiver(Component):
    def __init__(self, got: list[str]) -> None:
        self.got = got

    async def main(self) -> None:
        async for message in self.inbox:
            number, word = message.data.decode().split()
            if int(number) == len(self.got) % NUMBERS:
                self.got.append(word)
            await self.outbox.send(answer(message, len(self.got) % NUMBERS))


@simulated(seeds=1000, seconds=300, until="sender", within="60 s")
def protocol(network, faulty):
    got: list[str] = []
    network.host("receiver").run(on_udp(Receiver(got)))
    network.host("sender").run(on_udp(Sender(faulty)))
    network.link("sender", "receiver", delay="20 ms", loss="5 %")
    yield network
    wrong = [
        (word, got[n] if n < len(got) else None) for n, word in enumerate(WORDS) if got[n : n + 1] != [word]
    ]
    assert not wrong and len(got) == len(WORDS), (
        f"of {len(WORDS)} words {len(got)} came, from {wrong[:1]} on wrong"
    )
