"""Everyday parts, to put between others.

| part | what it does |
| --- | --- |
| `Source` | sends the items of a list, a generator, anything iterable |
| `Collect` | gathers what arrives into a list |
| `Lines`, `Encode` | the two ways between the wire (bytes) and text (str) |
| `Map`, `Filter` | a function of each message; only some messages |
| `Take` | the first messages |
| `Interval` | a message every so often |
| `RateLimit` | not more than so many, or so many bytes, in a time |

>>> from kamaelia import run
>>> from kamaelia.flow import Collect, Lines, Map, Source
>>> run(Source([b"one\\ntw", b"o\\n"]) | Lines() | Map(str.upper) | Collect())
['ONE', 'TWO']
"""

from .collect import Collect
from .encode import Encode
from .filter import Filter
from .interval import Interval
from .lines import LineDecoder, Lines
from .map import Map
from .ratelimit import RateLimit
from .source import Source
from .take import Take

__all__ = [
    "Collect",
    "Encode",
    "Filter",
    "Interval",
    "LineDecoder",
    "Lines",
    "Map",
    "RateLimit",
    "Source",
    "Take",
]
