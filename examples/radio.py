"""A radio station with a playlist, and a recorder that puts each programme into a file of its own.

                 playlist --------------+
               next |  ^ "next"         | next
                    v  |                v
                   player ---------> recorder

Type ``python examples/radio.py``. You see when each programme begins, in virtual time: it takes as long as
its bytes do at 16 kbit/s. Then you see what was recorded: the stream is divided where the programmes are,
to the byte, as the playlist says what comes next to both.

Player and recorder are places for one part at a time: a file reader for each programme, a file writer for
each recording. The stream between them does not end when a programme does.
"""

import tempfile
from pathlib import Path

from kamaelia import Graphline, clock, run
from kamaelia.axon import VirtualLoop
from kamaelia.chassis import Carousel, Chooser
from kamaelia.file import FileReader, FileWriter
from kamaelia.flow import Map
from kamaelia.ui import ConsoleEchoer

PROGRAMMES = {"news": 20_000, "weather": 3_333, "music": 120_000}  # bytes


def station(archive, recordings):
    playlist = Chooser(["news", "weather", "music", "news"])
    player = Carousel(lambda name: FileReader(archive / name, rate="16 kbit/s"))
    recorder = Carousel(lambda name: FileWriter(recordings / f"{clock():.1f} {name}"))
    screen = Map(lambda name: f"{clock():6.1f} s: {name}") | ConsoleEchoer()
    return Graphline(
        player.requests >> playlist.inbox,
        playlist.outbox >> [player.next, recorder.next, screen.inbox],
        player.outbox >> recorder.inbox,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        archive, recordings = Path(name, "archive"), Path(name, "recordings")
        archive.mkdir()
        recordings.mkdir()
        for programme, size in PROGRAMMES.items():
            (archive / programme).write_bytes(programme[:1].encode() * size)
        run(station(archive, recordings), loop_factory=VirtualLoop)
        for path in sorted(recordings.iterdir(), key=lambda path: float(path.name.split()[0])):
            _, programme = path.name.split()
            same = path.read_bytes() == (archive / programme).read_bytes()
            print(f"recorded: {path.name}, {path.stat().st_size:,} bytes, {'all' if same else 'NOT'} of it")
