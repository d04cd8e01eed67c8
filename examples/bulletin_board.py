"""A bulletin board for people who come by telnet: log in, look around, read, post, reply.

    each visitor:  connection > conversation: first who it is, then commands > connection
    the board:     one object for all of them, kept in a JSON file; passwords only as hashes

Type ``python examples/bulletin_board.py serve`` and connect with ``telnet 127.0.0.1 2323``, or ``nc``, from
several terminals; what is there stays in ``board.json``. Without ``serve`` three people meet in a simulated
network, over lines that lose packets, and you see what each of them sees. Dave says to be Anna, and is not.

How it is built, step by step, is told in docs/how-to/write-a-bulletin-board.md.
"""

import asyncio
import hashlib
import json
import re
import secrets
import sys
import tempfile
from pathlib import Path

from kamaelia import clock, component, run, sleep
from kamaelia.flow import Collect, Encode, Lines, Map
from kamaelia.net import TCPClient, TCPServer
from kamaelia.protocol import CommandError, Commands, Conversation
from kamaelia.testbed import Network


class Board:
    """Folders of messages, and who may write them."""

    def __init__(self, path):
        self.path = Path(path)
        self.accounts, self.folders = {}, {"general": [], "lego": []}
        if self.path.exists():
            self.accounts, self.folders = json.loads(self.path.read_text())

    def save(self):
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps([self.accounts, self.folders], indent=1))
        new.replace(self.path)  # whole, or not at all

    async def open_account(self, name, password):
        if len(password) < 4:
            raise ValueError("Four characters at least, please.")
        salt = secrets.token_hex(16)
        kept = await hashed(password, salt)
        if name in self.accounts:  # since it was looked for, others have been here
            raise ValueError("Somebody was faster, and has that name now.")
        self.accounts[name] = [salt, kept]
        self.save()

    async def check_password(self, name, password):
        salt, kept = self.accounts[name]
        if not secrets.compare_digest(await hashed(password, salt), kept):
            raise ValueError("That is not it.")

    async def talk(self, visitor):
        name = await visitor.ask("Your name? ", check=checked_name)
        if name in self.accounts:
            await visitor.ask("Password? ", hidden=True, check=lambda word: self.check_password(name, word))
        else:
            await visitor.say("You are new here: choose a password.")
            await visitor.ask("Password? ", hidden=True, check=lambda word: self.open_account(name, word))
        await visitor.say(f"Hello {name}! Type help to see what there is.")
        await Visit(self, visitor, name).go_on()
        await visitor.say(f"Good bye, {name}!")


async def hashed(password, salt):
    return await asyncio.to_thread(work, password, salt)  # or nobody else would be served meanwhile


def work(password, salt):
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()


def checked_name(line):
    if not re.fullmatch("[a-z]{2,12}", line):
        raise ValueError("A name has 2 to 12 small letters.")
    return line


class Visit:
    """One person's way through the board."""

    def __init__(self, board, visitor, name):
        self.board, self.visitor, self.name = board, visitor, name
        self.folder = "general"

    async def go_on(self):
        table = {"folders": self.folders, "enter": self.enter, "list": self.list, "read": self.read}
        table |= {"post": self.post, "reply": self.reply}
        await Commands(table, prompt=lambda: f"{self.folder}> ").serve(self.visitor)

    @property
    def messages(self):
        return self.board.folders[self.folder]

    def folders(self):
        """Say which folders there are."""
        return "\n".join(f"{name:10} {len(some)} messages" for name, some in self.board.folders.items())

    def enter(self, folder):
        """Go to a folder."""
        if folder not in self.board.folders:
            raise CommandError(f"There is no folder {folder!r}: type folders.")
        self.folder = folder

    def list(self):
        """List the messages of the folder."""
        lines = [f"{n:3} {m['by']:12} {m['title']}" for n, m in enumerate(self.messages, 1)]
        return "\n".join(lines) or "There is nothing here yet."

    def read(self, number: int):
        """Read a message."""
        message = self.find(number)
        return f"{message['title']} (by {message['by']})\n{message['text']}"

    def find(self, number):
        if not 1 <= number <= len(self.messages):
            raise CommandError(f"There is no message {number}: type list.")
        return self.messages[number - 1]

    async def post(self):
        """Write a message."""
        await self.write((await self.visitor.ask("Title? "))[:60])

    async def reply(self, number: int):
        """Answer a message."""
        await self.write("Re: " + self.find(number)["title"].removeprefix("Re: "))

    async def write(self, title):
        folder, lines = self.messages, []
        await self.visitor.say("Now the text. A single full stop ends it.")
        while len(lines) < 100 and (line := await self.visitor.ask()) != ".":
            lines.append(line)
        folder.append({"by": self.name, "title": title, "text": "\n".join(lines)})
        self.board.save()
        await self.visitor.say("It is posted.")


# -- three people, and one who is not who he says ------------------------------------------------------

ANNA = [(0, "anna pear post"), (4, "Hello|Who likes Lego?|.|folders"), (30, "list|read 2|quit")]
BERT = [(10, "bert plum list"), (14, "rea 1|reply 1|I do!|We all do.|.|reed 1|read 7|quit")]
CLEO = [(20, "Cleo cleo fig figs"), (24, "enter lego|list|enter nowhere|help post|quit")]
DAVE = [(40, "anna guess apple plum")]
PEOPLE = {"anna": ANNA, "bert": BERT, "cleo": CLEO, "dave": DAVE}


@component
async def typist(inbox, outbox, says):
    for second, text in says:
        await sleep(second - clock())
        for line in re.split(r"\|" if "|" in text else " ", text):
            await outbox.send(line)
            await sleep(0.5)
    await sleep(60 - clock())


def person(says):
    screen = Map(lambda data: re.sub(rb"\xff[\xfb\xfc]\x01", b"", data)) | Lines() | Collect()
    return typist(says) | Encode(end="\r\n") | TCPClient("server", 2323) | screen


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        port = int(sys.argv[2]) if sys.argv[2:] else 2323
        run(TCPServer(Conversation(Board("board.json").talk), port=port))
    else:
        with tempfile.TemporaryDirectory() as folder:
            board = Board(f"{folder}/board.json")
            network = Network()
            network.host("server").run(TCPServer(Conversation(board.talk), port=2323))
            for name, says in PEOPLE.items():
                network.host(name).run(person(says))
                network.link("server", name, delay="40 ms", loss="5 %")
            trace = network.simulate(seconds=60, seed=1)
            for name in PEOPLE:
                print(f"{name} sees", *trace.results[name], sep="\n  ")
            print("accounts that were kept:", *Board(board.path).accounts)
