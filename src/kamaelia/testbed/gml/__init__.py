"""Networks as GML, the Graph Modelling Language: read from files of others, and written for others to read.

| module | what is in it |
| --- | --- |
| `language` | GML as such: text into pairs of names and values, and back |
| `reading` | a network from GML; what attributes mean, those of the simulator Shadow too |
| `writing` | a network as GML, in one canonical form |

Reading what `to_gml` has written and writing it again gives the same bytes.
"""

from .language import Attribute, Value, format_gml, parse_gml
from .reading import network_from_gml
from .writing import to_gml

__all__ = ["Attribute", "Value", "format_gml", "network_from_gml", "parse_gml", "to_gml"]
