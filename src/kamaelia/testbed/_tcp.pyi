# What type checkers need to know of the compiled TCP, which is made of `tcp`.
from typing import Any

Connection: Any
Endpoint: Any
Segment: Any
