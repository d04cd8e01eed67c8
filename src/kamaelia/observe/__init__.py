"""Looking at systems: what they are made of, what they do, and who holds up whom.

| module | what is in it |
| --- | --- |
| `diagnosis` | who holds up the others, and why (`watch`: who looks; `awaited`: what is awaited) |
| `drawing` | pictures (`parts`: what is on them) |
| `logs` | ordinary logging, with the component whose code ran |
| `measure` | one line in a component: how often, how much, how full |
| `openmetrics` | all figures of a system as text, for Prometheus |
| `sketch` | what many values were like, in little memory (`tables`: as text) |

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

from .diagnosis import Diagnosis
from .drawing import mermaid, svg
from .logs import ComponentFilter, LineFormatter, log_lines
from .measure import Gauge, Result, Tally, count, level, measure, measures, total
from .openmetrics import OPENMETRICS, OpenMetrics, openmetrics
from .sketch import Sketch, Summary

__all__ = [
    "OPENMETRICS",
    "ComponentFilter",
    "Diagnosis",
    "Gauge",
    "LineFormatter",
    "OpenMetrics",
    "Result",
    "Sketch",
    "Summary",
    "Tally",
    "count",
    "level",
    "log_lines",
    "measure",
    "measures",
    "mermaid",
    "openmetrics",
    "svg",
    "total",
]
