"""Looking at systems: pictures of what they are made of.

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

from .drawing import mermaid, svg

__all__ = ["mermaid", "svg"]
