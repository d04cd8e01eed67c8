"""Files: reading, writing and watching them, without ever holding up the loop.

| part | what it does |
| --- | --- |
| `FileReader` | sends what a file holds: at full speed, at a constant rate, or as it is asked for |
| `FileWriter` | writes what arrives to a file: in its place as a whole, added to it, rotated |
| `ReadFiles`, `WriteFiles` | whole files of one folder: names in, contents out; names and contents in |
| `TailFile` | sends what is added to a file, whatever becomes of it |
| `DirectoryWatcher` | tells what appears, changes and vanishes in a folder |

Files are bytes: `kamaelia.flow` has `Lines` and `Encode` for text. Read in this order to see how it works:
`blocking` (why nothing blocks), `disk` (who is asked for files), `source` and `target` (what it is asked),
`lookout` (when to look again); `folder` keeps names in their place.
"""

from .errors import FileTruncated, OutsideFolder
from .read_files import ReadFiles
from .reader import FileReader
from .tail import TailFile
from .watcher import Appeared, Changed, DirectoryWatcher, FileEvent, Vanished
from .write_files import WriteFiles
from .writer import FileWriter

__all__ = [
    "Appeared",
    "Changed",
    "DirectoryWatcher",
    "FileEvent",
    "FileReader",
    "FileTruncated",
    "FileWriter",
    "OutsideFolder",
    "ReadFiles",
    "TailFile",
    "Vanished",
    "WriteFiles",
]
