"""Testing for one component alone; for networks see `kamaelia.testbed`.

`drive` runs a single component (or a pipeline, which is one too) by hand, in virtual time and without an
event loop in sight: put a message in, look at what came out, let an hour pass, break its source, go away.

>>> from kamaelia.protocol import Echo
>>> from kamaelia.testing import drive
>>> with drive(Echo()) as echo:
...     echo.send(b"x")
...     echo.take()
b'x'

With pytest, the fixtures ``drive`` and ``seed`` of `kamaelia.testing.plugin` are there without an import.
"""

from .driver import Driver, drive

__all__ = ["Driver", "drive"]
