"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon import sleep
from kamaelia.axon.specimen import Specimen
from kamaelia.chassis import Reply
from kamaelia.flow import Map

from . import (
    JSONRPC,
    Chargen,
    Commands,
    Conversation,
    Daytime,
    Echo,
    Fortune,
    JSONRPCClient,
    JSONRPCLines,
    Telnet,
)
from .chargen import chargen_line
from .jsonrpc import Call, Notification


async def _wait(seconds: float) -> None:
    await sleep(seconds)


async def _greet(visitor: Conversation) -> str:
    name = await visitor.ask("Your name? ")
    colour = await visitor.choose("Which?", ["red", "blue"])
    why = await visitor.ask("Why? ", hidden=True)
    await visitor.say(f"Hello {name}, {colour}")
    return str(why)


SPECIMENS = {
    "Chargen": (
        Specimen(
            Chargen,
            {"inbox": (b"anything",)},
            {"outbox": tuple(chargen_line(number) for number in range(100))},
            endless=True,
        ),
    ),
    "Conversation": (
        Specimen(
            lambda: Conversation(_greet),
            {"inbox": (b"An", b"na\r\nbl", b"ue\r\n", b"pass\n")},
            {
                "outbox": (
                    b"Your name? ",
                    b"Which?\r\n",
                    b"  1  red\r\n",
                    b"  2  blue\r\n",
                    b"? ",
                    b"Why? ",
                    b"\xff\xfb\x01",
                    b"Hello Anna, blue\r\n",
                )
            },
            returns="pass",
            by_time="at a stop nobody is greeted any more",
        ),
        Specimen(
            lambda: Conversation(Commands({"add": lambda a, b: a + b}).serve),
            {"inbox": (b"add x y\n", b"ad 7\n", b"\n", b"quit\n")},
            {"outbox": (b"> ", b"xy\r\n", b"> ", b"Something is missing. Usage: add A B\r\n", b"> ", b"> ")},
            by_time="at a stop nobody is asked any more",
        ),
    ),
    "Daytime": (Specimen(Daytime, gives={"outbox": (b"Saturday, January 1, 2000 00:00:00-UTC\r\n",)}),),
    "Echo": (Specimen(Echo, {"inbox": (b"one", b"two")}, {"outbox": (b"one", b"two")}),),
    "Fortune": (
        Specimen(lambda: Fortune(["Know thy pipes."]), gives={"outbox": (b"Know thy pipes.\r\n",)}),
        Specimen(Fortune, gives=None),
    ),
    "JSONRPC": (
        Specimen(
            lambda: JSONRPC({"pow": pow}),
            {
                "inbox": (
                    '{"jsonrpc": "2.0", "method": "pow", "params": [2, 10], "id": 1}',
                    b'{"jsonrpc": "2.0", "method": "pow", "params": {"base": 3, "exp": 2}, "id": 2}',
                )
            },
            {
                "outbox": (
                    '{"jsonrpc":"2.0","result":1024,"id":1}',
                    '{"jsonrpc":"2.0","result":9,"id":2}',
                )
            },
        ),
        Specimen(
            JSONRPC,
            {
                "calls": (Notification("hello"), Call("pow", [2, 3])),
                "inbox": ('{"jsonrpc":"2.0","result":8,"id":1}',),
            },
            {
                "outbox": (
                    '{"jsonrpc":"2.0","method":"hello"}',
                    '{"jsonrpc":"2.0","method":"pow","params":[2,3],"id":1}',
                ),
                "results": (Reply(Call("pow", [2, 3]), 8),),
            },
            holds=1000,  # calls that are open
            by_time="what is not answered by then has an error for a reply, and no two errors are equal",
            forgives="who calls is told in a reply that the peer has gone",
        ),
        Specimen(
            lambda: JSONRPC({"wait": _wait}),
            {
                "inbox": (
                    '{"jsonrpc":"2.0","method":"wait","params":[2],"id":1}',
                    '{"jsonrpc":"2.0","method":"wait","params":[1],"id":2}',
                )
            },
            {
                "outbox": (
                    '{"jsonrpc":"2.0","result":null,"id":2}',
                    '{"jsonrpc":"2.0","result":null,"id":1}',
                )
            },
            holds=2,
        ),
    ),
    "JSONRPCClient": (
        Specimen(
            lambda: JSONRPCClient("127.0.0.1", 1500),
            {"inbox": (Call("pow", [2, 3]),)},
            gives=None,
            outside="it connects to a server",
        ),
    ),
    "JSONRPCLines": (
        Specimen(
            lambda: JSONRPCLines(100),
            {"inbox": (b'{"id"', b": 1}\r\n[\xff", b"]\n{}")},
            {"outbox": ('{"id": 1}', "[\udcff]", "{}")},
        ),
    ),
    "Telnet": (
        Specimen(
            lambda: Telnet(Map(str.upper)),
            {"inbox": (b"on", b"e\r\ntwo\r\0", b"th\x7fhree")},
            {"outbox": (b"ONE\r\n", b"TWO\r\n", b"THREE\r\n")},
        ),
    ),
}
