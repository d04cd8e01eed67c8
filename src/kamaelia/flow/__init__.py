"""Everyday parts, to put between others.

| part | what it does |
| --- | --- |
| `Source`, `OneShot` | sends the items of anything iterable; a single message |
| `Collect`, `Count`, `Null` | takes what arrives, and keeps it in a list, counts it, forgets it |
| `Lines`, `Encode` | the two ways between the wire (bytes) and text (str) |
| `Map`, `Scan`, `Trigger` | a function of each message; of it and what has come before; of nothing |
| `Filter`, `Range`, `Deduplicate` | only some messages: by a function, between bounds, each once |
| `Take`, `Skip` | the first messages; all but the first |
| `Batch`, `Window`, `Chunk` | several messages as one, the last few, bytes in pieces of one size |
| `Frame`, `Deframe` | the two ways between messages and a stream of bytes, in one of several formats |
| `Serialise`, `Deserialise` | the two ways between values and a stream of bytes, in one of several formats |
| `Zip`, `Collate` | messages of several inboxes that belong together, by their order or by a key |
| `Tee` | passes messages on, and gives them to another part as well |
| `Number`, `Tag`, `Detag` | each message with its number, or a tag, as a pair; and without it again |
| `Interval` | a message every so often |
| `RateLimit` | not more than so many, or so many bytes, in a time |
| `Delay`, `Debounce`, `Sample` | later; when it has become quiet; the latest every so often |

>>> from kamaelia import run
>>> from kamaelia.flow import Collect, Lines, Map, Source
>>> run(Source([b"one\\ntw", b"o\\n"]) | Lines() | Map(str.upper) | Collect())
['ONE', 'TWO']
"""

from .batch import Batch
from .chunk import Chunk
from .collate import Collate
from .collect import Collect
from .count import Count
from .debounce import Debounce
from .deduplicate import Deduplicate
from .delay import Delay
from .encode import Encode
from .filter import Filter
from .framing import (
    COBS,
    Deframe,
    Delimiter,
    Frame,
    FrameDecoder,
    FrameFormat,
    LengthPrefix,
    Resync,
)
from .interval import Interval
from .lines import LineDecoder, Lines
from .map import Map
from .null import Null
from .number import Number
from .oneshot import OneShot
from .range import Range
from .ratelimit import RateLimit
from .sample import Sample
from .scan import Scan
from .serialising import (
    CSV,
    JSON,
    Deserialise,
    MessagePack,
    Serialise,
    UnsafePickle,
    ValueDecoder,
    ValueFormat,
)
from .skip import Skip
from .source import Source
from .tag import Detag, Tag
from .take import Take
from .tee import Tee
from .trigger import Trigger
from .window import Window
from .zip import Zip

__all__ = [
    "COBS",
    "CSV",
    "JSON",
    "Batch",
    "Chunk",
    "Collate",
    "Collect",
    "Count",
    "Debounce",
    "Deduplicate",
    "Deframe",
    "Delay",
    "Delimiter",
    "Deserialise",
    "Detag",
    "Encode",
    "Filter",
    "Frame",
    "FrameDecoder",
    "FrameFormat",
    "Interval",
    "LengthPrefix",
    "LineDecoder",
    "Lines",
    "Map",
    "MessagePack",
    "Null",
    "Number",
    "OneShot",
    "Range",
    "RateLimit",
    "Resync",
    "Sample",
    "Scan",
    "Serialise",
    "Skip",
    "Source",
    "Tag",
    "Take",
    "Tee",
    "Trigger",
    "UnsafePickle",
    "ValueDecoder",
    "ValueFormat",
    "Window",
    "Zip",
]
