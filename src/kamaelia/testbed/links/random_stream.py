"""Chance that has an owner: a random stream for one named thing, such as the losses of one link.

This is SplitMix64 of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014),
the algorithm of Java's SplittableRandom. A stream is a counter and a function of it. Each step adds an odd
number, the gamma, to the counter; what comes out is the counter, mixed so well that one cannot tell::

    state = (state + gamma) mod 2**64
    z = (state xor state >> 30) * 0xbf58476d1ce4e5b9 mod 2**64
    z = (z xor z >> 27) * 0x94d049bb133111eb mod 2**64
    bits = z xor z >> 31

As the gamma is odd, the counter takes each of its 2**64 values before it comes back to the first. The start
and the gamma come from a hash (BLAKE2b) of the seed and the name. So each name has a sequence of its own,
which does not depend on what else there is, and two of them have different gammas. A gamma whose bits hardly
ever change from one place to the next would make a weak stream; it is made a better one, as the paper says
(mix_gamma).

It fits in two words, and needs no table. It is no secret: who knows some numbers can tell the next ones.

All numbers are made by additions, multiplications, divisions and square roots, which are the same in each bit
on every machine (`elementary` has logarithms and the like). So the same seed gives the same numbers
everywhere. Each method but `below` takes exactly one step, so one can count them; `below` may rarely take
more.
"""

from __future__ import annotations

from hashlib import blake2b

from ...axon import UsageError
from .elementary import log, normal_quantile

_MASK = 2**64 - 1


class RandomStream:
    """The random numbers of one named thing.

    Arguments:
        seed: of the whole run; 7 and ``"7"`` are the same seed
        name: whose numbers these are; another name has others

    Example:
        >>> from kamaelia.testbed.links import RandomStream
        >>> stream = RandomStream(7, "server > phone/loss")
        >>> stream.below(6), stream.below(6), stream.below(6)
        (1, 3, 4)
        >>> stream.random() == RandomStream(7, "server > laptop/loss").random()
        False
    """

    __slots__ = ("gamma", "state")

    state: int
    """The counter, of 64 bits."""
    gamma: int
    """What is added to it each time: odd, of 64 bits."""

    def __init__(self, seed: int | str, name: str) -> None:
        digest = blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
        self.state = int.from_bytes(digest[:8], "big")
        self.gamma = mix_gamma(int.from_bytes(digest[8:], "big"))

    def skip(self, count: int) -> None:
        """Go on as if so many numbers had been drawn.

        >>> stream, other = RandomStream(7, "example"), RandomStream(7, "example")
        >>> _ = stream.random(), stream.random()
        >>> other.skip(2)
        >>> stream.random() == other.random()
        True
        """
        self.state = (self.state + count * self.gamma) & _MASK

    def bits(self) -> int:
        """Return 64 random bits, as a number from 0 up to 2**64 - 1.

        >>> hex(RandomStream(7, "example").bits())
        '0xd211da5b34f4dfd4'
        """
        self.state = z = (self.state + self.gamma) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def random(self) -> float:
        """Return a number from 0 up to, but not including, 1: one of 2**53, all equally likely.

        >>> RandomStream(7, "example").random()
        0.8205849144623757
        """
        return (self.bits() >> 11) * 2.0**-53

    def inside(self) -> float:
        """Return a number between 0 and 1, and neither of them: the middle of one of 2**52 equal parts.

        It is what a quantile function wants, which may have no value at 0 and 1.

        >>> RandomStream(7, "example").inside()
        0.8205849144623757
        """
        return ((self.bits() >> 12) + 0.5) * 2.0**-52

    def below(self, n: int) -> int:
        """Return a whole number from 0 up to n - 1, all exactly equally likely.

        The upper half of a product of 64 bits and n is such a number, but for a few products that would make
        some numbers likelier; these are drawn again (Lemire, "Fast random integer generation in an interval",
        2019). Raises `UsageError` when n is less than 1 or more than 2**64.

        >>> RandomStream(7, "example").below(1000)
        820
        """
        if not 1 <= n <= 2**64:
            raise UsageError(f"below({n!r}): give a whole number from 1 up to 2**64")
        product = self.bits() * n
        if (product & _MASK) < n:
            surplus = 2**64 % n
            while (product & _MASK) < surplus:
                product = self.bits() * n
        return product >> 64

    def uniform(self, a: float, b: float) -> float:
        """Return a number between a and b, all equally likely.

        >>> RandomStream(7, "example").uniform(10, 20)
        18.205849144623755
        """
        return a + (b - a) * self.random()

    def exponential(self, mean: float) -> float:
        """Return an exponentially distributed number, which is more than 0: how long one waits for something
        that may come at any time.

        >>> RandomStream(7, "example").exponential(10)
        17.180532440542237
        """
        return -mean * log(1.0 - self.inside())

    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """Return a normally distributed number.

        >>> RandomStream(7, "example").normal(10, 2)
        11.835192923113391
        """
        return mean + deviation * normal_quantile(self.inside())

    def split(self) -> RandomStream:
        """Return another stream, whose start and gamma come from this one: for a second use of chance that is
        not to depend on how often there is a first.

        >>> stream = RandomStream(7, "example")
        >>> other = stream.split()
        >>> hex(other.bits())
        '0xe29fd490e485512f'
        """
        other = RandomStream.__new__(RandomStream)
        other.state = self.bits()
        self.state = (self.state + self.gamma) & _MASK
        other.gamma = mix_gamma(self.state)
        return other

    def __repr__(self) -> str:
        return f"<random stream at {self.state:#018x}>"


def mix_gamma(z: int) -> int:
    """Return an odd number made from 64 bits, with at least 24 places where a bit differs from the next.

    This is mixGamma of Java's SplittableRandom; its multipliers are those of MurmurHash3.

    >>> hex(mix_gamma(0)), hex(mix_gamma(1))
    ('0xaaaaaaaaaaaaaaab', '0xb456bcfc34c2cb2d')
    """
    z = ((z ^ (z >> 33)) * 0xFF51AFD7ED558CCD) & _MASK
    z = ((z ^ (z >> 33)) * 0xC4CEB9FE1A85EC53) & _MASK
    z = (z ^ (z >> 33)) | 1
    return z ^ 0xAAAAAAAAAAAAAAAA if (z ^ (z >> 1)).bit_count() < 24 else z
