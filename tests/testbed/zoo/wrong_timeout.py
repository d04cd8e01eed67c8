"""A client asks a server, and again when there is no answer in time; its time-out is too short and stays so.

Answers that come late are answers to a question that it has given up, and three of them in a row are taken
for a server that is down.
"""

from __future__ import annotations

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

QUESTIONS = 10


class Client(Component):
    def __init__(self, faulty: bool, answers: list[int]) -> None:
        self.faulty = faulty
        self.answers = answers

    async def main(self) -> None:
        number = 0
        for _ in range(QUESTIONS):
            patience = 0.25
            for _ in range(3 if self.faulty else 9):
                number += 1
                if await self.ask(number, patience):
                    self.answers.append(number)
                    break
                if not self.faulty:
                    patience *= 2
            await sleep(0.5)

    async def ask(self, number: int, patience: float) -> bool:
        await self.outbox.send(to("server", number))
        while True:
            try:
                reply = await self.inbox.receive(timeout=patience)
            except TimeoutError:
                return False
            if int(reply.data) == number:
                return True


class Server(Component):
    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(answer(message, message.data.decode()))


@simulated(seeds=1000, seconds=600, until="client", within="60 s")
def protocol(network, faulty):
    answers: list[int] = []
    network.host("server").run(on_udp(Server()))
    network.host("client").run(on_udp(Client(faulty, answers)))
    network.link("client", "server", delay="80 ms", jitter="60 ms", loss="3 %")
    yield network
    assert len(answers) == QUESTIONS, f"of {QUESTIONS} questions {len(answers)} were answered"
