# What type checkers need to know of the compiled wire: `forms` derives from these classes.
from typing import Any

Fabric: Any
Packet: Any
Channel: Any
Node: Any
Way: Any
Recorder: Any
DatagramSocket: Any
PacketBlocks: Any
