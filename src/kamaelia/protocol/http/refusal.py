"""What a client is told when it has broken a rule."""

from __future__ import annotations

from kamaelia.axon.errors import RemoteProtocolError


class Refused(RemoteProtocolError):
    """A request breaks the rules, or goes beyond a limit; ``status`` is how to answer it.

    A function that answers may raise it as well: it is answered so, and no failure of the server.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


__all__ = ["Refused"]
