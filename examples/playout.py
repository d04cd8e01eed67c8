"""How long should a telephone wait before it plays what has come? An experiment with 160 simulated calls.

    speaker > words > a line that takes now longer, now shorter > listener: what is late is not heard

Type ``python examples/playout.py``. You see how many of a thousand packets are not heard for each time of
waiting, on two lines, with intervals of 95 %; then what another 20 ms are worth, in pairs of calls with the
same seed, in which the line behaves alike. Say ``run()`` without ``folder=None`` to keep the calls, and to go
on with more of them another time.
"""

from kamaelia import clock, component, sleep
from kamaelia.net import UDPReceiver, UDPSender
from kamaelia.observe import count
from kamaelia.testbed import Experiment, Network
from kamaelia.testbed.links import Exponential

PACKETS = 250  # of 20 ms: five seconds of speech
JITTER = {"good": Exponential("5 ms"), "bad": Exponential("15 ms")}


@component
async def speak(inbox, outbox):
    for number in range(PACKETS):
        await outbox.send(number.to_bytes(2, "big") + bytes(160))
        await sleep(0.02)


@component
async def listen(inbox, outbox, wait):
    async for packet in inbox:
        number = int.from_bytes(packet[:2], "big")
        count("heard" if clock() <= 0.030 + wait + number * 0.02 else "late")


def call(wait=40, line="good"):
    network = Network()
    network.host("speaker").run(speak() | UDPSender("listener", 5004))
    network.host("listener").run(UDPReceiver(5004, None) | listen(wait / 1000))
    network.link("speaker", "listener", delay="30 ms", jitter=JITTER[line])
    return network


def outcome(trace):
    return {"not heard": 1000 - 1000 * trace.metrics.total("heard").total / PACKETS}


if __name__ == "__main__":
    lines = list(JITTER)
    experiment = Experiment(call, line=lines, wait=[20, 40, 60, 80], seconds=6, outcome=outcome)
    study = experiment.run(folder=None)
    print(study.table())
    for line in lines:
        print(study.compare("wait", 40, 60, of="not heard", where={"line": line}))
