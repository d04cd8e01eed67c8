"""Parts for a person at a terminal.

| part | what it does |
| --- | --- |
| `ConsoleReader` | sends the lines that are typed |
| `ConsoleEchoer` | prints what arrives |
| `Ticker` | shows text word by word, at reading speed |

Each takes the streams of the process unless it is given another, so they can be tested and embedded.

>>> from kamaelia import run
>>> from kamaelia.flow import Map
>>> from kamaelia.ui import ConsoleEchoer, ConsoleReader
>>> run(ConsoleReader(stream=["hello"]) | Map(str.upper) | ConsoleEchoer())
HELLO
"""

from .console_echoer import ConsoleEchoer
from .console_reader import ConsoleReader
from .ticker import Ticker

__all__ = ["ConsoleEchoer", "ConsoleReader", "Ticker"]
