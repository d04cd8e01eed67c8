"""Telnet: services for people, who come with a telnet client, or just ``nc``.

| module | what is in it |
| --- | --- |
| `machine` | lines, editing and options: bytes in, events out |
| `conversation` | `Conversation`: ask, say, let choose |
| `commands` | `Commands`: a table of commands, with help and abbreviations |
| `telnet` | `Telnet`: around a part that takes and sends lines |
"""

from .commands import CommandError, Commands
from .conversation import Conversation, ConversationOver
from .telnet import Telnet

__all__ = ["CommandError", "Commands", "Conversation", "ConversationOver", "Telnet"]
