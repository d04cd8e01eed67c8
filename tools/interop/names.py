"""A small server of names (RFC 1035): one component, which serves UDP as it serves TCP.

A message is one question, or one answer. Over UDP each is a datagram, as it is; over TCP each has its length
before it, which is the business of `Deframe` and `Frame`. So the same component is in both::

    udp = UDPServer(Names(ADDRESSES, most=512), port=53)
    tcp = TCPServer(Deframe(FORMAT) | Names(ADDRESSES) | Frame(FORMAT), port=53)
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from kamaelia import Component, Inbox, Outbox
from kamaelia.flow import LengthPrefix

FORMAT = LengthPrefix(width=2)
"""How messages are told apart on a stream."""

A, IN = 1, 1  # the type and class of questions for addresses of the internet
ANSWER, TRUNCATED, DESIRED = 0x8400, 0x0200, 0x0100  # flags; the first says that we know it ourselves
FORMAT_ERROR, NO_SUCH_NAME = 1, 3
HEAD = struct.Struct(">2sHHHHH")  # number, flags, and how many questions, answers and others there are
RECORD = struct.Struct(">HHHIH")  # name, type, class, seconds for which it is good, length
SAME_NAME = 0xC00C  # "as it stands in the question"
TTL = 60

Addresses = Mapping[str, Sequence[str]]


class Names(Component):
    """Answers questions for addresses.

    Inbox: ``inbox``, questions. Outbox: ``outbox``, an answer to each; what is too short to be a question is
    passed over. It ends when its inbox does.

    Arguments:
        addresses: those of each name
        most: bytes that an answer may have; a longer one goes without addresses, and says that it was cut
    """

    inbox = Inbox[bytes]("questions")
    outbox = Outbox[bytes]("answers")

    def __init__(self, addresses: Addresses, *, most: int = 65535) -> None:
        self.addresses = addresses
        self.most = most

    async def main(self) -> None:
        async for question in self.inbox:
            if len(question) >= HEAD.size:
                await self.outbox.send(answer(question, self.addresses, self.most))


def answer(question: bytes, addresses: Addresses, most: int) -> bytes:
    """Return the answer to a question."""
    number, flags, *_ = HEAD.unpack_from(question)
    flags = ANSWER | flags & DESIRED
    try:
        name, end = read_name(question)
        kind, realm = struct.unpack_from(">HH", question, end)
    except (IndexError, UnicodeDecodeError, struct.error):
        return HEAD.pack(number, flags | FORMAT_ERROR, 0, 0, 0, 0)
    asked = question[HEAD.size : end + 4]
    records = []
    if name not in addresses:
        flags |= NO_SUCH_NAME
    elif (kind, realm) == (A, IN):
        head = RECORD.pack(SAME_NAME, A, IN, TTL, 4)
        records = [head + bytes(map(int, address.split("."))) for address in addresses[name]]
    if HEAD.size + len(asked) + sum(map(len, records)) > most:
        records, flags = [], flags | TRUNCATED
    return HEAD.pack(number, flags, 1, len(records), 0, 0) + asked + b"".join(records)


def read_name(question: bytes) -> tuple[str, int]:
    """Return the name that is asked for, and where what follows it begins."""
    labels, at = [], HEAD.size
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 1
