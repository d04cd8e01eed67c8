"""Looking at systems: what they are made of, what they do, and who holds up whom.

| module | what is in it |
| --- | --- |
| `capture`, `replay` | what passed boxes, in a file, and played again (`capture_file`: its form) |
| `diagnosis` | who holds up the others, and why (`watch`: who looks; `awaited`: what is awaited) |
| `drawing` | pictures (`graphviz`, `outline`: two forms of them; `parts`: what is on them) |
| `logs` | ordinary logging, with the component whose code ran |
| `measure` | one line in a component: how often, how much, how full |
| `openmetrics` | all figures of a system as text, for Prometheus |
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
from .diagnosis import Diagnosis
from .drawing import draw, mermaid, svg
from .graphviz import graphviz
from .logs import ComponentFilter, LineFormatter, log_lines
from .measure import Gauge, Result, Tally, count, level, measure, measures, total
from .openmetrics import OPENMETRICS, OpenMetrics, openmetrics
from .outline import outline
from .replay import Replay, replay
from .sketch import Sketch, Summary
from .tap import Tapped, Tapping, WireTap, tap

__all__ = [
    "OPENMETRICS",
    "Capture",
    "CaptureError",
    "CaptureFile",
    "Captured",
    "ComponentFilter",
    "Diagnosis",
    "Gauge",
    "LineFormatter",
    "OpenMetrics",
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
    "log_lines",
    "measure",
    "measures",
    "mermaid",
    "openmetrics",
    "outline",
    "read_capture",
    "replay",
    "svg",
    "tap",
    "total",
]
