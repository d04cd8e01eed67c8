"""What the numbers of messages tell: which were lost, in what bursts, which came twice or out of turn.

Theory
------
A sender gives each message a number, one more each time. Seen from the receiver, between the smallest number
that has come and the greatest:

- **Expected** are all of these numbers; **lost** those that have not come. (What was lost before the first or
  after the last nobody can tell from here.)
- A **burst** is a run of numbers next to each other that are all lost: a loss period of RFC 3357.
- A **duplicate** is a message whose number has come before (RFC 5560). Nothing of what follows, nor any
  delay, counts those.
- A message is **reordered** when a greater number came before it (RFC 4737, section 3). Its *extent* is how
  many messages it came after the first of these (section 4.2): ``i - j``, where i is its place in the order
  of arrival, and j the least place of one with a greater number. Its *lateness* is how much time it came
  after that one (section 4.3).
- A message is **late** when it comes ``window`` numbers or more behind the greatest. Then it is forgotten
  whether its number had come, and it stays lost: so memory is bounded. The RFC has a time for this, after
  which a packet that is under way is taken for lost.

A sender that begins again counts from its first number again. Then a number comes from before the window that
was sent after all others; from this on it is another sequence, and what is expected of both is added up.

Numbers of a limited size begin again at 0 after their last. With ``wrap`` the number is meant that is nearest
to the one that is due (RFC 3550, appendix A.1).

Each time a gap opens, its numbers are written down with the place and time of the message that opened it, for
that is the first with a greater number, whichever of them comes late.
"""

from __future__ import annotations

from kamaelia.observe import Sketch

WINDOW = 1000  # numbers


class Sequence:
    """The numbers that have come of one sender. Times are in nanoseconds.

    Arguments:
        window: how far behind the greatest a number may come
        wrap: how many different numbers there are, if they begin again; None if they do not

    Example:
        >>> sequence = Sequence()
        >>> [sequence.arrived(number, now=1000 * number) for number in (1, 2, 5, 4, 5, 6)]
        [True, True, True, True, False, True]
        >>> sequence.expected, sequence.lost, sequence.reordered, sequence.duplicates
        (6, 1, 1, 1)
    """

    __slots__ = (
        "_before",
        "_begun",
        "_burst",
        "_burst_end",
        "_bursts",
        "_came_before",
        "_first",
        "_first_time",
        "_missing",
        "_next",
        "_sent",
        "came",
        "duplicates",
        "extents",
        "late",
        "lateness",
        "window",
        "wrap",
    )

    def __init__(self, window: int = WINDOW, wrap: int | None = None) -> None:
        self.window = window
        self.wrap = wrap
        self.came = 0
        """Messages that have come, without duplicates and late ones."""
        self.duplicates = 0
        """Messages whose number had come before."""
        self.late = 0
        """Messages that came too late for anybody to know whether they are duplicates."""
        self.extents = Sketch()
        """Of those that are reordered, how many messages too late."""
        self.lateness = Sketch()
        """Of those, how much time too late."""
        self._begun = False
        self._next = 0  # the number that is due
        self._first = 0
        self._first_time = 0
        self._sent: float | None = None  # when that with the greatest number was sent
        self._missing: dict[int, tuple[int, int]] = {}  # in ascending order; since which message, and when
        self._bursts = Sketch()  # of those that can come no more
        self._burst = self._burst_end = (
            0  # the last of them, which may go on: its length, and after which number
        )
        self._before = self._came_before = 0  # expected, and come, of sequences that are over

    # -- one message --------------------------------------------------------------------------------

    def arrived(self, number: int, now: int, sent: float | None = None) -> bool:
        """Take note of a message; say whether it is the first with its number, and not late.

        Arguments:
            number: that the sender gave it
            now: when it has come
            sent: when it was sent, on any clock, if that is known
        """
        if self.wrap is not None and self._begun:
            half = self.wrap // 2
            number = self._next + (number - self._next + half) % self.wrap - half
        if number != self._next or not self._begun:
            return self._arrived_out_of_turn(number, now, sent)
        self._next = number + 1
        self._sent = sent
        self.came += 1
        return True

    def _arrived_out_of_turn(self, number: int, now: int, sent: float | None) -> bool:
        if not self._begun:
            self._begin(number, now, sent)
        elif number > self._next:
            self._open_gap(number, now)
            self._next = number + 1
            self._sent = sent
        elif number < self._next - self.window:
            if sent is None or self._sent is None or sent <= self._sent:
                self.late += 1
                return False
            self._begin_again(number, now, sent)
        elif number in self._missing:
            self._came_late(*self._missing.pop(number), now)
        elif number < self._first:
            self._came_late(self._came_before + 1, self._first_time, now)
            earlier = {
                one: (self._came_before + 1, self._first_time) for one in range(number + 1, self._first)
            }
            self._missing = earlier | self._missing
            self._first = number
        else:
            self.duplicates += 1
            return False
        self.came += 1
        return True

    def _begin(self, number: int, now: int, sent: float | None) -> None:
        self._begun = True
        self._first, self._first_time = number, now
        self._next = number + 1
        self._sent = sent

    def _begin_again(self, number: int, now: int, sent: float | None) -> None:
        """The sender has: what is missing of the old sequence will not come."""
        self._lose_those_below(self._next)
        self._end_burst()
        self._before += self._next - self._first
        self._came_before = self.came
        self._begin(number, now, sent)

    def _open_gap(self, number: int, now: int) -> None:
        """Numbers up to this one are missing; those that are too far behind it are lost."""
        oldest = number + 1 - self.window
        self._lose_those_below(oldest)
        start = self._next
        if start < oldest:
            self._lose(start, oldest)
            start = oldest
        opened = (self.came + 1, now)
        for one in range(start, number):
            self._missing[one] = opened

    def _came_late(self, place: int, time: int, now: int) -> None:
        self.extents.add(self.came + 1 - place)
        self.lateness.add(now - time)

    # -- losses -------------------------------------------------------------------------------------

    def _lose_those_below(self, oldest: int) -> None:
        lost = []
        for number in self._missing:
            if number >= oldest:
                break
            lost.append(number)
        for number in lost:
            del self._missing[number]
            self._lose(number, number + 1)

    def _lose(self, start: int, end: int) -> None:
        """Numbers from one to before another are lost, and all before them are lost or have come."""
        if not self._burst or start != self._burst_end:
            self._end_burst()
        self._burst += end - start
        self._burst_end = end

    def _end_burst(self) -> None:
        if self._burst:
            self._bursts.add(self._burst)
            self._burst = 0

    # -- what came of it ----------------------------------------------------------------------------

    @property
    def expected(self) -> int:
        """Messages that should have come: all numbers from the smallest to the greatest."""
        return self._before + self._next - self._first

    @property
    def lost(self) -> int:
        """Those of them that have not."""
        return self.expected - self.came

    @property
    def reordered(self) -> int:
        """Messages that came after one with a greater number."""
        return self.extents.count

    def bursts(self) -> Sketch:
        """Return how long the bursts are in which messages are lost."""
        lengths = self._bursts.copy()
        length, end = self._burst, self._burst_end
        for number in self._missing:
            if length and number == end:
                length += 1
            else:
                if length:
                    lengths.add(length)
                length = 1
            end = number + 1
        if length:
            lengths.add(length)
        return lengths


__all__ = ["Sequence"]
