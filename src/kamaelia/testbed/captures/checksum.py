"""The checksum of the internet protocols (RFC 1071), fast in plain Python.

It is the one's complement of the one's complement sum of the data's 16-bit words. Such a sum is the
ordinary sum modulo 65535. And as 65536 is 1 modulo 65535, the whole data read as *one* number leaves the
same rest as the sum of its words: ``int.from_bytes`` and one division replace a loop over words. Long data
is read in pieces, whose numbers are added before the division, because a long sum is cheaper than a long
division.

One case needs care. A rest of 0 stands for a sum of 0 and for one of 65535, which are the two zeros of one's
complement. The sum is 0 only where every word is, so the number itself tells them apart.

Checksums say that a capture is whole. The simulator corrupts no headers, so nobody else looks at them.
"""

from __future__ import annotations

_PIECE = 2048  # bytes; an even number. Longer pieces are not faster, shorter ones are slower


def word_sum(data: bytes) -> int:
    """Return a number that leaves the same rest, divided by 65535, as the sum of the data's 16-bit words.

    Data of odd length counts as if a zero byte followed it. The number is 0 only where all of the data is.

    >>> word_sum(bytes([0x12, 0x34, 0x56])) % 65535 == 0x1234 + 0x5600
    True
    """
    length = len(data)
    if length <= _PIECE:
        number = int.from_bytes(data, "big")
        return number << 8 if length & 1 else number
    number = 0
    for start in range(0, length - length % _PIECE, _PIECE):
        number += int.from_bytes(data[start : start + _PIECE], "big")
    return number + word_sum(data[length - length % _PIECE :])


def checksum(data: bytes, plus: int = 0) -> int:
    """Return the checksum of data whose own checksum field is 0.

    Arguments:
        data: what is to be summed up
        plus: a `word_sum` of what counts too, such as a pseudo header

    The example is that of RFC 1071, section 3:

    >>> hex(checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    total = plus + word_sum(data)
    return -total % 65535 if total else 65535


__all__ = ["checksum", "word_sum"]
