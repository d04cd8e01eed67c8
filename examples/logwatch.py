"""A log watcher that speaks up when errors come in a burst, once for each burst.

    log > lines > errors only > with the time > the last three > less than 10 s apart > when it is quiet again

Type ``python examples/logwatch.py FILE`` to watch a log of yours until Ctrl-C. Without a file you see two
minutes of a made-up one, in virtual time, so at once: single errors are no news, two bursts are. The log is
rotated meanwhile, and nothing is missed.
"""

import sys
import tempfile
from pathlib import Path

from kamaelia import clock, component, run, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.chassis import Timeout
from kamaelia.file import FileWriter, TailFile
from kamaelia.flow import Debounce, Encode, Filter, Lines, Map, Window
from kamaelia.ui import ConsoleEchoer

DAY = [  # seconds since the line before, and a line
    (1, "INFO  the shop opens"),
    (9, "ERROR the printer is out of paper"),
    (20, "INFO  paper has come"),
    (5, "ERROR no answer from the bank"),
    (1, "ERROR no answer from the bank"),
    (1, "INFO  somebody has bought a chair"),
    (2, "ERROR no answer from the bank"),
    (3, "ERROR the queue is full"),
    (40, "ERROR the printer is out of paper"),
    (20, "ERROR no answer from the bank"),
    (1, "ERROR no answer from the bank"),
    (1, "ERROR no answer from the bank"),
    (30, "INFO  the shop closes"),
]


def report(three):
    first, last = three[0], three[-1]
    return f"a burst of errors, the last three in {last[0] - first[0]:.0f} s: {last[1]}"


def watch(path):
    return (
        TailFile(path)
        | Lines()
        | Filter(lambda line: "ERROR" in line)
        | Map(lambda line: (clock(), line))
        | Window(3)
        | Filter(lambda three: three[-1][0] - three[0][0] < 10)
        | Debounce(10)
        | Map(report)
    )


@component
async def shop(inbox, outbox):
    for seconds, line in DAY:
        await sleep(seconds)
        await outbox.send(line)


if __name__ == "__main__":
    if sys.argv[1:]:
        run(watch(sys.argv[1]) | ConsoleEchoer())
    else:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "shop.log")
            writing = shop() | Encode(end="\n") | FileWriter(log, mode="append", rotate_size=150)
            watching = Timeout(watch(log), total=150, then="end") | ConsoleEchoer()
            run(writing, watching, loop_factory=VirtualLoop)
            print("the log, and what it was:", sorted(path.name for path in Path(folder).iterdir()))
