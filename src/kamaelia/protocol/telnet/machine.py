r"""Telnet (RFC 854), as the side that serves a person has to speak it: bytes in, events out.

Theory
------
What comes is what the person types, with *commands* between: the byte 255 (``IAC``) and one or two more. A
byte 255 that is meant as such is doubled. A line ends with CR LF, CR NUL, a lone LF (``nc`` sends that), or a
lone CR: so a line is over when a CR has come, and an LF or NUL right after it is nothing. Backspace and DEL
take a character back, Ctrl-U the line. Other control characters are left out: whoever is shown what another
has typed is safe from what that would do to a terminal.

**Options.** Whether one side does something beyond that (echo, say) both have to agree: it says WILL or WONT,
the other DO or DONT. Each question is answered, and nothing is said about what is so already; to keep to that
while answers are on their way is less simple than it looks. `AGREE` is the table of RFC 1143, the "Q method":
a state for each option and side, and what comes of each word. What nobody here has asked for, and is not
harmless, is refused.

Nothing is sent before it is needed, so that who comes with ``nc``, which knows none of this, sees clean text.
A password is asked for with WILL ECHO: a client that thinks that we echo what is typed does not show it; and
we do not echo anything, ever.

Everything is bounded: a line beyond ``longest`` is cut, a subnegotiation beyond 100 bytes is skipped.
"""

from __future__ import annotations

import codecs
import re
from typing import Final, NamedTuple

from kamaelia.axon.errors import LocalProtocolError, shorten

IAC, DONT, DO, WONT, WILL, SB, GA = 255, 254, 253, 252, 251, 250, 249
EL, EC, AYT, AO, IP, BRK, DM, NOP, SE = 248, 247, 246, 245, 244, 243, 242, 241, 240
ABORT, SUSP, EOF = 238, 237, 236

ECHO: Final = 1  # RFC 857
SGA: Final = 3  # RFC 858: no "go ahead" after each line, which nobody has wanted for decades
NAWS: Final = 31  # RFC 1073: the size of the window

LONGEST: Final = 4096  # bytes of a line
SUBNEGOTIATION: Final = 100  # bytes

LF, CR, BACKSPACE, DELETE, KILL = 10, 13, 8, 127, 21
LEAVE: Final = (3, 4)  # Ctrl-C and Ctrl-D, from clients that send each key
PLAIN: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f\xff]+")  # what is just text
YES_I_AM: Final = b"\r\n[yes]\r\n"

# The states of an option: "no", "yes"; and what was asked for, with no answer yet: "want yes", "want no".
# Then one may have thought better of it: "..., no", "..., yes". For each state and word: the next state, and
# what to say (True: WILL or DO, False: WONT or DONT, None: nothing). The words of the peer are "on", when it
# says WILL or DO and we agree, "refused", when we do not, and "off"; ours are "want" and "unwant".
AGREE: Final[dict[tuple[str, str], tuple[str, bool | None]]] = {
    ("no", "on"): ("yes", True),
    ("no", "refused"): ("no", False),
    ("no", "off"): ("no", None),
    ("no", "want"): ("want yes", True),
    ("no", "unwant"): ("no", None),
    ("yes", "on"): ("yes", None),
    ("yes", "refused"): ("yes", None),
    ("yes", "off"): ("no", False),
    ("yes", "want"): ("yes", None),
    ("yes", "unwant"): ("want no", False),
    ("want no", "on"): ("no", None),
    ("want no", "refused"): ("no", None),
    ("want no", "off"): ("no", None),
    ("want no", "want"): ("want no, yes", None),
    ("want no", "unwant"): ("want no", None),
    ("want no, yes", "on"): ("yes", None),
    ("want no, yes", "refused"): ("yes", None),
    ("want no, yes", "off"): ("want yes", True),
    ("want no, yes", "want"): ("want no, yes", None),
    ("want no, yes", "unwant"): ("want no", None),
    ("want yes", "on"): ("yes", None),
    ("want yes", "refused"): ("yes", None),
    ("want yes", "off"): ("no", None),
    ("want yes", "want"): ("want yes", None),
    ("want yes", "unwant"): ("want yes, no", None),
    ("want yes, no", "on"): ("want no", False),
    ("want yes, no", "refused"): ("want no", False),
    ("want yes, no", "off"): ("no", None),
    ("want yes, no", "want"): ("want yes", None),
    ("want yes, no", "unwant"): ("want yes, no", None),
}


class Line(NamedTuple):
    """The person has typed a line."""

    text: str


class Leave(NamedTuple):
    """The person wants to go: Ctrl-C, Ctrl-D, or what the client makes of them."""


class Window(NamedTuple):
    """How large the person's window is, in characters; 0 for what is not known."""

    width: int
    height: int


class Send(NamedTuple):
    """This is to be sent to the client."""

    data: bytes


Event = Line | Leave | Window | Send


class Terminal:
    r"""The client of a person, as we know it.

    Arguments:
        encoding: of the text in both directions; one that leaves ASCII as it is
        longest: bytes of the longest line; more is cut

    Example:
        >>> terminal = Terminal()
        >>> terminal.feed(b"helo\x7flo\r\nbye")
        [Line(text='hello')]
        >>> terminal.hide()
        b'\xff\xfb\x01'
    """

    def __init__(self, *, encoding: str = "utf-8", longest: int = LONGEST) -> None:
        if "\n ~".encode(encoding) != b"\n ~":
            raise ValueError(f"encoding={encoding!r}: it does not leave ASCII as it is")
        self.encoding = encoding
        self.longest = longest
        self.cut = 0
        """Lines that were too long and were cut."""
        self.window = Window(0, 0)
        self._is_utf8 = codecs.lookup(encoding).name == "utf-8"
        self._state = "text"  # where in a command we are: "iac", "option", "sub", "sub iac"
        self._command = 0  # that the option belongs to
        self._line = bytearray()
        self._too_long = False  # this line has been cut
        self._after_cr = False
        self._sub = bytearray()
        self._options: dict[tuple[str, int], str] = {}  # (whose, which): how it is
        self._hidden = False
        self._events: list[Event] = []

    @property
    def hidden(self) -> bool:
        """Whether the client has agreed not to show what is typed."""
        return self._options.get(("ours", ECHO)) == "yes"

    # -- what comes -------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[Event]:
        """Take what has come, and return what it means."""
        data = bytes(data)
        at = 0
        while at < len(data):
            if self._state == "text" and (plain := PLAIN.match(data, at)):
                self._take_text(plain[0])
                at = plain.end()
            else:
                self._take_byte(data[at])
                at += 1
        events, self._events = self._events, []
        return events

    def _take_byte(self, byte: int) -> None:
        if self._state == "text":
            if byte == IAC:
                self._state = "iac"
            else:
                self._take(byte)
        elif self._state == "iac":
            self._take_command(byte)
        elif self._state == "option":
            self._state = "text"
            self._negotiate(byte)
        elif self._state == "sub":
            if byte == IAC:
                self._state = "sub iac"
            else:
                self._take_sub(byte)
        elif byte == IAC:
            self._state = "sub"
            self._take_sub(byte)
        elif byte == SE:
            self._state = "text"
            self._end_sub()
        else:  # it was broken off
            self._take_command(byte)

    def end(self) -> list[Event]:
        """Say that no more will come: what is left is the last line."""
        if self._line:
            self._end_line()
        events, self._events = self._events, []
        return events

    def _take(self, byte: int) -> None:
        after_cr, self._after_cr = self._after_cr, False
        if byte in (LF, CR):
            if byte == CR or not after_cr:
                self._end_line()
            self._after_cr = byte == CR
        elif byte in (BACKSPACE, DELETE):
            self._erase()
        elif byte == KILL:
            self._forget_line()
        elif byte in LEAVE:
            self._events.append(Leave())
        elif (byte == 0 and after_cr) or (byte < 32 and byte != 9):
            pass
        else:
            self._take_text(bytes((byte,)))

    def _take_text(self, text: bytes) -> None:
        self._after_cr = False
        room = self.longest - len(self._line)
        self._line += text[:room]
        self._too_long = self._too_long or len(text) > room

    def _end_line(self) -> None:
        text = self._line.decode(self.encoding, "replace")
        if self._too_long:
            self.cut += 1
            self._too_long = False
            if self._is_utf8:
                text = text.rstrip("\ufffd")  # the cut may have gone through a character
        self._line.clear()
        # Beyond ASCII there are 32 control characters more, which some terminals obey.
        if not text.isascii():
            text = "".join(one for one in text if not "\x7f" <= one <= "\x9f")
        self._events.append(Line(text))

    def _forget_line(self) -> None:
        self._line.clear()
        self._too_long = False

    def _erase(self) -> None:
        if not self._line:
            return
        last = self._line.pop()
        if self._is_utf8:  # a character has several bytes, of which the later ones begin with the bits 10
            while 0x80 <= last < 0xC0 and self._line and self._line[-1] >= 0x80:
                last = self._line.pop()

    def _take_command(self, byte: int) -> None:
        self._state = "text"
        if byte == IAC:
            self._take(byte)
        elif byte in (WILL, WONT, DO, DONT):
            self._state = "option"
            self._command = byte
        elif byte == SB:
            self._state = "sub"
            self._sub.clear()
        elif byte == EC:
            self._erase()
        elif byte == EL:
            self._forget_line()
        elif byte == AYT:
            self._events.append(Send(YES_I_AM))
        elif byte in (IP, BRK, ABORT, EOF):
            self._events.append(Leave())
        # The rest means nothing to us: "go ahead", marks in the stream, no operation.

    # -- options ----------------------------------------------------------------------------------

    def hide(self) -> bytes:
        """Ask that what is typed is not shown; return what is to be sent."""
        self._hidden = True
        return self._agree("ours", ECHO, "want")

    def show(self) -> bytes:
        """Ask that what is typed is shown again; return what is to be sent."""
        self._hidden = False
        return self._agree("ours", ECHO, "unwant")

    def ask_size(self) -> bytes:
        """Ask for the size of the window; return what is to be sent."""
        return self._agree("theirs", NAWS, "want")

    def _negotiate(self, option: int) -> None:
        command = self._command
        whose = "ours" if command in (DO, DONT) else "theirs"
        if (whose, option) == ("ours", ECHO):
            wanted = self._hidden
        else:
            wanted = option == SGA or (whose, option) == ("theirs", NAWS)
        word = "off" if command in (DONT, WONT) else "on" if wanted else "refused"
        if said := self._agree(whose, option, word):
            self._events.append(Send(said))

    def _agree(self, whose: str, option: int, word: str) -> bytes:
        state = self._options.get((whose, option), "no")
        new, say = AGREE[state, word]
        if new == "no":
            self._options.pop((whose, option), None)
        else:
            self._options[whose, option] = new
        if say is None:
            return b""
        yes, no = (WILL, WONT) if whose == "ours" else (DO, DONT)
        return bytes((IAC, yes if say else no, option))

    def _take_sub(self, byte: int) -> None:
        if len(self._sub) <= SUBNEGOTIATION:  # one more, which tells that it is too long
            self._sub.append(byte)

    def _end_sub(self) -> None:
        sub = self._sub
        if len(sub) == 5 and sub[0] == NAWS:
            self.window = Window(sub[1] << 8 | sub[2], sub[3] << 8 | sub[4])
            self._events.append(self.window)
        self._sub = bytearray()

    # -- what goes --------------------------------------------------------------------------------

    def encode(self, text: str) -> bytes:
        r"""Return a text as it is sent: each ``\n`` as CR LF, 255 doubled.

        What the encoding does not have becomes a question mark.
        """
        if not isinstance(text, str):
            raise LocalProtocolError(f"a terminal is sent str, not {shorten(text)}")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        return lines.encode(self.encoding, "replace").replace(b"\xff", b"\xff\xff")


__all__ = ["Event", "Leave", "Line", "Send", "Terminal", "Window"]
