"""Common mistakes, each with the exact text that it gets.

``tests/test_mistakes.py`` makes every mistake and compares; ``python -m tests.mistakes`` prints the page
``docs/how-to/mistakes.md``, which the same test compares with what is committed.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

PRELUDE = """\
from kamaelia import (
    Component, Graphline, Inbox, Outbox, Pipeline, background, clock, component, random, run, select, sleep
)
from kamaelia.axon import Link, VirtualLoop, postman
from kamaelia.flow import Collect, Encode, Lines, Map, Source, Take
"""


@dataclass(frozen=True)
class Mistake:
    title: str
    code: str
    text: str  # the first line of the error, or of the warning
    remark: str = ""


def mistake(title: str, code: str, text: str, remark: str = "") -> Mistake:
    return Mistake(title, textwrap.dedent(code).strip(), text, remark)


MISTAKES = [
    mistake(
        "`await` forgotten when receiving",
        """
        @component
        async def shout(inbox, outbox):
            line = inbox.receive()
            await outbox.send(line.upper())

        run(Source(["a"]) | shout | Collect())
        """,
        "Pipeline/shout: AttributeError: this is no message yet, so it has no 'upper': write "
        "'await inbox.receive()' in a coroutine, 'yield inbox.receive()' in a generator",
    ),
    mistake(
        "`await` forgotten when sending",
        """
        @component
        async def count(inbox, outbox):
            for number in range(1_000_000):
                outbox.send(number)

        run(count | Collect())
        """,
        "Pipeline/count: WouldBlock: Pipeline/count.outbox has sent 1000 messages past the mark (100) of "
        "Pipeline/Collect.inbox without waiting: write 'await' (in a generator 'yield') before send(...)",
        "Nothing holds such a sender back, so it would fill the memory.",
    ),
    mistake(
        "Bytes linked to text",
        """
        class Speaks(Component):
            outbox = Outbox[bytes]("raw bytes")

            async def main(self): ...

        class Listens(Component):
            inbox = Inbox[str]("lines of text")

            async def main(self): ...

        Speaks() | Listens()
        """,
        "LinkError: Pipeline/Speaks.outbox (bytes) cannot be linked to Pipeline/Listens.inbox (str): "
        "bytes does "
        "not fit into str: put Lines() between (bytes to lines of text)",
    ),
    mistake(
        "Text linked to bytes",
        """
        Lines() | Lines()
        """,
        "LinkError: Pipeline/Lines.outbox (str) cannot be linked to Pipeline/Lines-2.inbox (bytes): str "
        "does not "
        "fit into bytes: put Encode() between (text to bytes)",
    ),
    mistake(
        "A misspelt box",
        """
        class Echo(Component):
            async def main(self):
                async for message in self.inbox:
                    await self.outbx.send(message)

        run(Source(["a"]) | Echo() | Collect())
        """,
        "Pipeline/Echo: AttributeError: Pipeline/Echo has no 'outbx': did you mean 'outbox'? its boxes are "
        "inbox, outbox",
    ),
    mistake(
        "A misspelt box in a graphline",
        """
        Graphline(lines=Lines(), linkages={("lines", "outbx"): ("self", "outbox")})
        """,
        "LinkError: Graphline/lines has no box called 'outbx'; did you mean 'outbox'?",
    ),
    mistake(
        "A misspelt part in a graphline",
        """
        Graphline(lines=Lines(), linkages={("line", "outbox"): ("self", "outbox")})
        """,
        "LinkError: linkages: there is no part called 'line'; did you mean 'lines'?",
    ),
    mistake(
        "A plain `for` in a coroutine",
        """
        @component
        async def copy(inbox, outbox):
            for message in inbox:
                await outbox.send(message)

        run(Source(["a"]) | copy | Collect())
        """,
        "Pipeline/copy: TypeError: 'for' over Pipeline/copy.inbox would block every other component: write "
        "'async for' in a coroutine, or 'message = yield inbox.receive()' in a generator",
    ),
    mistake(
        "The same component run twice",
        """
        pipeline = Source(["a"]) | Collect()
        run(pipeline)
        run(pipeline)
        """,
        "UsageError: Pipeline has been run already, and a component runs once. Make another: Pipeline(...). "
        "Where parts are made repeatedly, as in TCPServer(protocol), that is done for you",
    ),
    mistake(
        "The same component in two places",
        """
        lines = Lines()
        Pipeline(lines, Collect())
        Pipeline(lines, Collect())
        """,
        "UsageError: Pipeline/Lines is part of a chassis already, and a component runs once. Make another: "
        "Lines(...). Where parts are made repeatedly, as in TCPServer(protocol), that is done for you",
    ),
    mistake(
        "`run` in a notebook, or in another running loop",
        """
        import asyncio

        async def notebook():
            run(Source(["a"]) | Collect())

        asyncio.run(notebook())
        """,
        "UsageError: run() starts an event loop, and one is running already (as in a notebook): write 'await "
        "system.run()'",
    ),
    mistake(
        "A blocking call in a coroutine",
        """
        import time

        @component
        async def slow(inbox, outbox):
            time.sleep(0.3)

        run(slow(), slow_step=0.1)
        """,
        "slow has held everybody up for 0.1 s, at listing.py:5 in slow: time.sleep(0.3). In a coroutine or "
        "generator nothing may block: await it, use asyncio.to_thread, or make the component a script (a "
        "plain "
        "def)",
        "A warning, from half a second on unless `slow_step=` says otherwise.",
    ),
    mistake(
        "A script that ignores its end",
        """
        import time

        @component
        def deaf(inbox, outbox):
            for message in inbox:
                pass
            time.sleep(2)

        class Stop(Component):
            async def main(self):
                await sleep(0.05)
                self.system.stop()

        run(Source(["a"]) | deaf, Stop(), grace=0.1)
        """,
        "GraceExceeded: 1 component(s) had not ended 0.1 s after the stop and were cancelled:",
        "The next line names the component and where in its code it is: `Pipeline/deaf: listing.py:7 in "
        "deaf: "
        "time.sleep(2)`. Its thread cannot be stopped; it is cut off from its boxes and left behind, so the "
        "program can exit. The usual grace is 5 seconds.",
    ),
    mistake(
        "A loop that nobody feeds",
        """
        @component
        async def copy(inbox, outbox):
            async for message in inbox:
                await outbox.send(message)

        first, second = copy(), copy()
        run(Graphline(first.outbox >> second.inbox, second.outbox >> first.inbox))
        """,
        "Deadlock: every component waits for another, so nothing will ever happen:",
        "The lines below say who waits for what. A loop that is meant to end by itself has a link with "
        "`feedback=True`.",
    ),
    mistake(
        "Results that go nowhere",
        """
        run(Source(range(1000)) | Map(lambda number: 2 * number))
        """,
        "1000 messages from Map went nowhere: add | Collect()",
        "A warning.",
    ),
    mistake(
        "`run` with nothing to run",
        """
        run()
        """,
        "UsageError: run() was given nothing to run: give it a component, such as run(Source('abc') | "
        "Collect())",
    ),
    mistake(
        "Two classes joined",
        """
        run(Lines | Collect)
        """,
        "UsageError: Lines | Collect joins two classes into a type: write parentheses, as in Lines() | "
        "Collect()",
    ),
    mistake(
        "A function in a pipeline",
        """
        Source(["a"]) | str.upper | Collect()
        """,
        "UsageError: <method 'upper' of 'str' objects> is no component. A chassis is made of components: "
        "Map(function) of a function, Source(items) of a list",
    ),
    mistake(
        "A list in a pipeline",
        """
        [1, 2, 3] | Collect()
        """,
        "UsageError: [1, 2, 3] is no component. A chassis is made of components: Map(function) of a "
        "function, "
        "Source(items) of a list",
    ),
    mistake(
        "A box that is declared and not made",
        """
        class Reads(Component):
            control = Inbox[str]
        """,
        "UsageError: Reads.control = Inbox[str] declares no box yet: call it, as in control = "
        'Inbox[str]("what it is for")',
    ),
    mistake(
        "The box of a class linked",
        """
        class Echo(Component):
            async def main(self): ...

        postman.link(Echo.outbox, Collect().inbox)
        """,
        "LinkError: outbox of the class cannot be linked to Collect.inbox (Any): the boxes of a class belong "
        "to no component. Make the component first: link Echo().outbox, not Echo.outbox",
    ),
    mistake(
        "`async def` with `yield`",
        """
        class Mixed(Component):
            async def main(self):
                yield self.outbox.send("a")
        """,
        "UsageError: Mixed.main has both 'async def' and 'yield': send messages with 'await "
        "outbox.send(...)' "
        "instead of yielding them",
    ),
    mistake(
        "A plain function that returns a coroutine",
        """
        async def real(inbox, outbox): ...

        @component
        def wrapper(inbox, outbox):
            return real(inbox, outbox)

        run(wrapper())
        """,
        "wrapper: UsageError: the body of wrapper is a plain function, which runs as a script in a "
        "thread of its "
        "own, but it returned a coroutine: write 'async def', or use 'yield' in the function itself",
    ),
    mistake(
        "A generator that yields messages",
        """
        @component
        def numbers(inbox, outbox):
            yield 1

        run(numbers | Collect())
        """,
        "Pipeline/numbers: TypeError: a generator yields what a coroutine would await, but this one "
        "yielded 1. "
        "To send it: 'yield outbox.send(...)'; to call a helper generator: 'yield from helper(...)'",
    ),
    mistake(
        "Boxes after the arguments",
        """
        @component
        async def times(factor, inbox, outbox): ...
        """,
        "UsageError: times(): the box parameter 'inbox' comes after 'factor': boxes come first",
    ),
    mistake(
        "A function without boxes",
        """
        @component
        async def double(inpox):
            pass
        """,
        "UsageError: double() has no box parameters, so it could neither receive nor send: write def "
        "double(inbox, outbox, ...); did you mean 'inbox'?",
    ),
    mistake(
        "An argument forgotten",
        """
        @component
        async def times(inbox, outbox, factor): ...

        Source([1]) | times() | Collect()
        """,
        "TypeError: times(factor) (the boxes are given to it by Axon): missing a required argument: 'factor'",
    ),
    mistake(
        "`@component` on a class",
        """
        @component
        class Echo: ...
        """,
        "UsageError: @component is for functions; Echo is a class: derive it from Component",
    ),
    mistake(
        "A method called `run`",
        """
        class Game(Component):
            def run(self): ...
        """,
        "UsageError: Game.run: this name is Axon's; give your method another one",
    ),
    mistake(
        "Sending after closing",
        """
        @component
        async def closes(inbox, outbox):
            outbox.close()
            await outbox.send("too late")

        run(closes | Collect())
        """,
        "Pipeline/closes: ClosedBox: Pipeline/closes.outbox has been closed, so nothing can be sent from it",
    ),
    mistake(
        "An inbox linked as a source",
        """
        postman.link(Lines().inbox, Collect().inbox)
        """,
        "LinkError: Lines.inbox (bytes) cannot be linked to Collect.inbox (Any): Lines.inbox is where Lines "
        "receives; link what it sends, such as its outbox",
    ),
    mistake(
        "An outbox linked as a target",
        """
        postman.link(Lines().outbox, Source("abc").outbox)
        """,
        "LinkError: Lines.outbox (str) cannot be linked to Source.outbox (Any): Source.outbox is where "
        "Source "
        "sends from; link to its inbox instead",
    ),
    mistake(
        "The same link twice",
        """
        lines, collect = Lines(), Collect()
        postman.link(lines.outbox, collect.inbox)
        postman.link(lines.outbox, collect.inbox)
        """,
        "LinkError: Lines.outbox (str) cannot be linked to Collect.inbox (Any): the two are linked already",
    ),
    mistake(
        "`drop-oldest` on a shared inbox",
        """
        one, other, collect = Source("a"), Source("b"), Collect()
        postman.link(one.outbox, collect.inbox)
        postman.link(other.outbox, collect.inbox, when_full="drop-oldest")
        """,
        'LinkError: Source.outbox (Any) cannot be linked to Collect.inbox (Any): when_full="drop-oldest" '
        "needs "
        "the inbox to itself, or one sender would drop another's messages",
    ),
    mistake(
        "A link to an inbox that has ended",
        """
        class Late(Component):
            async def main(self):
                collect = self.add(Collect())
                await sleep(1)
                self.link(self.outbox, collect.inbox)

        run(Late(), loop_factory=VirtualLoop)
        """,
        "Late: LinkError: Late.outbox (Any) cannot be linked to Late/Collect.inbox (Any): "
        "Late/Collect.inbox has "
        "ended, and an end is final. An inbox that is to be linked later is declared with "
        "Inbox(held=True)",
        "Link a child in the step in which it is added, or declare its inbox as held.",
    ),
    mistake(
        "`sleep`, `clock` or `random` outside of a component",
        """
        sleep(1)
        """,
        "UsageError: sleep, clock and random belong to a component: call them in its body, or in what it "
        "calls. "
        "Outside of a system use asyncio's, or `time` and `random` of the standard library",
    ),
    mistake(
        "A message changed after it was sent",
        """
        @component
        async def reuses(inbox, outbox):
            buffer = []
            for number in range(3):
                buffer.append(number)
                await outbox.send(buffer)

        run(reuses | Collect(), debug=True)
        """,
        "Pipeline/Collect: UsageError: a message was changed after it had been sent: it was [0] and is "
        "[0, 1, 2]. "
        "From the moment it is sent a message belongs to its receivers; send a copy, or a new one",
        "Only `run(debug=True)` looks; without it the readers just see the changed list.",
    ),
    mistake(
        "A size that is none",
        """
        class Reads(Component):
            inbox = Inbox("messages", size="lots")
        """,
        "ValueError: size='lots' of inbox 'messages': give a number of messages (1 or more), or bytes like "
        "'256 KiB'",
    ),
    mistake(
        "`select` with something that is no inbox",
        """
        class Chooses(Component):
            async def main(self):
                await select(self.inbox, self.outbox)

        run(Chooses())
        """,
        "Chooses: TypeError: select(<Outbox Chooses.outbox>, ...): select takes inboxes",
    ),
    mistake(
        "The same name offered twice",
        """
        class Offers(Component):
            async def main(self):
                self.system.names.offer("camera", self, self)
                await sleep(1)

        run(Offers(), Offers(), loop_factory=VirtualLoop)
        """,
        "Offers-2: NameTaken: Offers-2 offers the service 'camera', but Offers offers it already: a name "
        "belongs "
        "to one component of a system",
    ),
    mistake(
        "A port that is in use",
        """
        import socket
        from kamaelia.net import TCPServer

        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            run(TCPServer(Map(bytes.upper), port=taken))
        """,
        "TCPServer: CannotListen: another program listens on 127.0.0.1:1500: stop it or choose another "
        "port=... (0 for a free one)",
    ),
]


def page() -> str:
    """Return the page of the documentation."""
    parts = [
        "# Common mistakes",
        "",
        "Every message of Kamaelia says which component it is about (by its path), what is wrong, and "
        "what to "
        "write instead. Here are the mistakes that people make most, each with the text that it gets; a test "
        "makes them all. The listings begin with",
        "",
        '```python no-run="the imports of all listings on this page"',
        PRELUDE.strip(),
        "```",
        "",
    ]
    for one in MISTAKES:
        parts += [
            f"## {one.title}",
            "",
            '```python no-run="a mistake; tests/test_mistakes.py makes it"',
            one.code,
        ]
        parts += ["```", "", "```text", *textwrap.wrap(one.text, 100), "```", ""]
        if one.remark:
            parts += [one.remark, ""]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    print(page(), end="")
