"""Checksums of all files in a folder: four programs at a time, results in order.

    names > a pool of four, each runs sha256sum > lines > SHA256SUMS

Type ``python examples/checksums.py FOLDER``; without one it makes a folder of its own. You see the checksums,
as they go into the file SHA256SUMS of that folder, and what ``sha256sum --check`` says of it. In the made-up
folder a file is changed in between, and found out.
"""

import sys
import tempfile
from pathlib import Path

from kamaelia import component, run
from kamaelia.chassis import Pool
from kamaelia.file import FileWriter
from kamaelia.flow import Collect, Encode, Lines, Source, Tee
from kamaelia.process import Command
from kamaelia.ui import ConsoleEchoer


@component
async def checksum(inbox, outbox, folder):
    async for name in inbox:
        program = Command("sha256sum", "--", name, cwd=folder) | Lines() | Collect()
        for line in await program.run():
            await outbox.send(line)


def checksums(folder):
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    return (
        Source(names)
        | Pool(checksum(folder=folder), 4, ordered=True)
        | Tee(ConsoleEchoer())
        | Encode(end="\n")
        | FileWriter(folder / "SHA256SUMS")
    )


def check(folder):
    # Exit code 1 says that some file is not as it was: that is an answer, and no failure.
    program = Command("sha256sum", "--check", "SHA256SUMS", cwd=folder, env={"LC_ALL": "C"}, check={0, 1})
    return program | Lines()


if __name__ == "__main__":
    if sys.argv[1:]:
        folder = Path(sys.argv[1])
        run(checksums(folder))
        run(check(folder) | ConsoleEchoer())
    else:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for number in range(6):
                (folder / f"photo-{number}").write_bytes(bytes([number]) * 100_000)
            run(checksums(folder))
            with open(folder / "photo-3", "r+b") as photo:
                photo.write(b"!")
            run(check(folder) | ConsoleEchoer())
