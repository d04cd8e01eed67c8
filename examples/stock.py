"""Questions and answers over a network: two tills share one connection to the store.

    till > Ask --+                                    the store:
                 +-- Calls "stock" --> connection --> questions > look up > answers
    till > Ask --+

Type ``python examples/stock.py``. You see each till's questions with their answers, in the order in which
these came. The store looks several up at a time, and what is in the cellar takes longer, so answers come in
any order; Calls gives each to whoever has asked. Nobody finds the moustache wax: after 5 s that question
gets an error.
"""

from kamaelia import clock, sleep
from kamaelia.chassis import Ask, Calls
from kamaelia.flow import JSON, Collect, Deserialise, Map, Serialise, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network

SHELF, CELLAR = {"tea": 12, "salt": 3}, {"wine": 600, "coal": 40}


async def look_up(question):
    number, thing = question
    if thing not in SHELF:
        await sleep(2 if thing in CELLAR else 10)
    return number, SHELF.get(thing) or CELLAR.get(thing)


store = TCPServer(
    Deserialise(JSON()) | Map(look_up, concurrency=10, ordered=False) | Serialise(JSON()), port=1500
)
stock = Calls("stock", Serialise(JSON()) | TCPClient("store", 1500) | Deserialise(JSON()), timeout=5)


def till(*things):
    return Source(things) | Ask("stock") | Map(lambda reply: (clock(), reply)) | Collect()


if __name__ == "__main__":
    network = Network()
    network.host("store").run(store)
    network.host("shop").run(stock).run(till("wine", "tea", "moustache wax")).run(till("salt", "coal", "tea"))
    network.link("store", "shop", delay="40 ms")
    _, *tills = network.simulate(seconds=30).results["shop"]
    for number, replies in enumerate(tills, 1):
        for second, reply in replies:
            print(f"till {number}, {second:.2f} s: {reply.question}? {reply.error or reply.answer}")
