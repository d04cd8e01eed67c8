"""The words that a text uses most: parts of your own and programs of the machine in one pipeline.

    file > lines > words > sort > uniq -c > sort -rn > the first five

Type ``python examples/words.py FILE``; without a file it reads the beginning of a novel. You see the five
words that come most often, and how often.

``words`` is a script like one that reads and prints, with boxes in place of standard input and output. The
three programs start at once, wait for each other as in a shell, and are gone when ``Take`` has had its five
lines.
"""

import re
import sys
import tempfile
from pathlib import Path

from kamaelia import component, run
from kamaelia.file import FileReader
from kamaelia.flow import Encode, Lines, Take
from kamaelia.process import Command
from kamaelia.ui import ConsoleEchoer

NOVEL = """\
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of
Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing
before us, we were all going direct to Heaven, we were all going direct the other way.
"""


@component
def words(inbox, outbox):
    for line in inbox:
        for word in re.findall(r"[\w']+", line.lower()):
            outbox.send(word)


def most_used(path, count=5):
    return (
        FileReader(path)
        | Lines()
        | words()
        | Encode(end="\n")
        | Command("sort", env={"LC_ALL": "C"})
        | Command("uniq", "-c")
        | Command("sort", "-k1,1nr", "-k2", env={"LC_ALL": "C"})
        | Lines()
        | Take(count)
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        novel = Path(folder, "novel.txt")
        novel.write_text(NOVEL)
        run(most_used(sys.argv[1] if sys.argv[1:] else novel) | ConsoleEchoer())
