"""Draw the picture in the README: the chat program while three people are in it.

    python tools/picture.py

It runs the chat in virtual time, and in the middle of it draws what is there. The same system gives the same
picture everywhere, so a test compares the file with what this makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kamaelia import component, sleep
from kamaelia.axon.here import here
from kamaelia.chassis import PublishTo, SubscribeTo
from kamaelia.flow import Collect, Encode, Lines, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.observe import svg
from kamaelia.testbed import Network

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "chat.svg"


def chat_picture() -> str:
    """Return the picture."""
    chat = TCPServer(Lines() | PublishTo("room") | SubscribeTo("room") | Encode(end="\n"), port=1500)

    @component
    async def painter(inbox: Any, outbox: Any) -> str:
        await sleep(1)
        me = here()
        return svg(*(other.component for other in me.parent.children if other is not me))

    network = Network()
    server = network.host("server").run(chat).run(painter)
    for number in range(3):
        phone = network.host(f"phone-{number}")
        network.link(server, phone, delay="80 ms")
        phone.run(Source([b"hello\n"], then="stay") | TCPClient("server", 1500) | Collect())
    _, picture = network.simulate(seconds=2).results["server"]
    return str(picture)


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(chat_picture())
    print(f"Drawn: {PICTURE.name}, {PICTURE.stat().st_size} bytes")
