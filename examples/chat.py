"""A chat for everybody who connects. Who comes late is told what was said before.

    each visitor:  connection > lines > the room > lines > connection
    the room:      keeps the last three lines

Type ``python examples/chat.py serve`` and connect with ``nc 127.0.0.1 1500`` from several terminals. Without
``serve`` three people meet in a simulated network, and you see what each of them sees, and when. Cleo comes
late, over a slow line that loses packets, and is told first what it is about. Nobody hears themselves.
"""

import sys

from kamaelia import clock, component, run, sleep
from kamaelia.chassis import Backplane, Join, Sequential
from kamaelia.flow import Collect, Encode, Lines, Map
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network

room = Backplane("chat", keep=3)
server = TCPServer(Lines() | Join("chat", echo=False) | Encode(end="\n"), port=1500)

PEOPLE = {  # when they come, what they say when, and how far away they are
    "anna": (0, {1: "hello, is anybody there?", 4: "how is the weather?", 14: "bye"}, {"delay": "5 ms"}),
    "bert": (1.5, {2: "I am", 5: "it rains", 6: "and it is cold", 13: "hello Cleo"}, {"delay": "20 ms"}),
    "cleo": (10, {12: "here the sun shines"}, {"delay": "400 ms", "loss": "20 %"}),
}


@component
async def wait(inbox, outbox, second):
    await sleep(second - clock())


@component
async def talk(inbox, outbox, name, says):
    for second, text in says.items():
        await sleep(second - clock())
        await outbox.send(f"{name}: {text}")
    await sleep(20 - clock())


def person(name, comes, says):
    connection = TCPClient("server", 1500)
    screen = Lines() | Map(lambda line: f"{clock():5.2f} s  {line}") | Collect()
    return Sequential(wait(comes), talk(name, says) | Encode(end="\n") | connection | screen)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        run(room, server)
    else:
        network = Network()
        network.host("server").run(room).run(server)
        for name, (comes, says, line) in PEOPLE.items():
            network.host(name).run(person(name, comes, says))
            network.link("server", name, **line)
        trace = network.simulate(seconds=30, seed=1)
        for name in PEOPLE:
            print(f"{name} sees", *trace.results[name], sep="\n  ")
