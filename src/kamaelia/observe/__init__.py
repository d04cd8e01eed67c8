"""Looking at systems: pictures of what they are made of, and measures of what they do.

| module | what is in it |
| --- | --- |
| `capture`, `replay` | what passed boxes, in a file, and played again (`capture_file`: its form) |
| `drawing` | pictures (`graphviz`, `outline`: two forms of them; `parts`: what is on them) |
| `measure` | one line in a component: how often, how much, how full |
| `sketch` | what many values were like, in little memory (`tables`: as text) |
| `tap` | what passes a box, a link, or all that is in a component (`place`, `survey`, `subscription`) |

>>> from kamaelia.flow import Collect, Map, Source
>>> from kamaelia.observe import mermaid
>>> print(mermaid(Source("ab") | Map(str.upper) | Collect()))
flowchart LR
    n1["Source<br/>'ab'"]
    n2["Map<br/>str.upper"]
    n3["Collect"]
    n1 --> n2
    n2 --> n3
"""

from .capture import Capture, capture
from .capture_file import Captured, CaptureError, CaptureFile, read_capture
from .drawing import draw, mermaid, svg
from .graphviz import graphviz
from .measure import Gauge, Result, Tally, count, level, measure, measures, total
from .outline import outline
from .replay import Replay, replay
from .sketch import Sketch, Summary
from .tap import Tapped, Tapping, WireTap, tap

__all__ = [
    "Capture",
    "CaptureError",
    "CaptureFile",
    "Captured",
    "Gauge",
    "Replay",
    "Result",
    "Sketch",
    "Summary",
    "Tally",
    "Tapped",
    "Tapping",
    "WireTap",
    "capture",
    "count",
    "draw",
    "graphviz",
    "level",
    "measure",
    "measures",
    "mermaid",
    "outline",
    "read_capture",
    "replay",
    "svg",
    "tap",
    "total",
]
