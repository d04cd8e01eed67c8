"""A folder that does something with what is put into it: here each file is compressed into another folder.

    folder is watched > files that are complete > read > compressed > written to the other folder

Type ``python examples/dropfolder.py FROM TO`` and copy files into FROM, until Ctrl-C. Without folders you see
a minute of it in virtual time. One file was there before. One comes in two pieces, 1.5 s apart, and is taken
when it has been left alone for 2 s. One is taken back before that.

``compress`` is a script, in a thread of its own, so that a large file does not hold up everything else.
"""

import gzip
import sys
import tempfile
from pathlib import Path

from kamaelia import component, run, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.chassis import Timeout
from kamaelia.file import Appeared, DirectoryWatcher, ReadFiles, WriteFiles
from kamaelia.flow import Filter, Map
from kamaelia.ui import ConsoleEchoer


@component
def compress(inbox, outbox):
    for name, content in inbox:
        outbox.send((f"{name}.gz", gzip.compress(content)))


def compressor(source, target):
    return (
        DirectoryWatcher(source, existing=True, settle=2)
        | Filter(lambda event: isinstance(event, Appeared) and not event.is_folder)
        | Map(lambda event: event.name)
        | ReadFiles(source, pairs=True, on_error="skip")
        | compress()
        | WriteFiles(target)
        | Map(lambda name: f"{name} is there")
    )


@component
def somebody(inbox, outbox, folder):
    sleep(10)
    (folder / "report.txt").write_text("beginning, ")
    sleep(1.5)
    (folder / "report.txt").write_text("beginning, end\n")
    sleep(10)
    (folder / "oops.txt").write_text("this was meant for another folder\n")
    sleep(1.5)
    (folder / "oops.txt").unlink()


if __name__ == "__main__":
    if sys.argv[1:]:
        run(compressor(*sys.argv[1:]) | ConsoleEchoer())
    else:
        with tempfile.TemporaryDirectory() as name:
            source, target = Path(name, "from"), Path(name, "to")
            source.mkdir()
            (source / "letter.txt").write_text("Dear Ada,\n" * 100)
            minute = Timeout(compressor(source, target), total=60, then="end")
            run(somebody(folder=source), minute | ConsoleEchoer(), loop_factory=VirtualLoop)
            for path in sorted(target.iterdir()):
                print(f"{path.name} holds {len(gzip.decompress(path.read_bytes())):,} bytes")
