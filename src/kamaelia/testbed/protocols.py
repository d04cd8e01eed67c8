"""Numbers that all of the testbed shares: protocols, and what may happen to a packet."""

from __future__ import annotations

ICMP, IGMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 2, 6, 17, 44, 58
"""IANA's numbers of what IP packets carry."""

WORDS = (
    "send",
    "forward",
    "deliver",
    "lose",
    "drop",
    "resend",
    "ignore",
    "expire",
    "listen",
    "connect",
    "accept",
    "refuse",
    "reset",
    "duplicate",
    "corrupt",
    "mark",
    "set",
    "cut",
    "mend",
    "crash",
    "restart",
    "call",
)
(
    SEND,
    FORWARD,
    DELIVER,
    LOSE,
    DROP,
    RESEND,
    IGNORE,
    EXPIRE,
    LISTEN,
    CONNECT,
    ACCEPT,
    REFUSE,
    RESET,
    DUPLICATE,
    CORRUPT,
    MARK,
    SET,
    CUT,
    MEND,
    CRASH,
    RESTART,
    CALL,
) = range(len(WORDS))

REASONS = (
    "",
    "queue full",
    "random loss",
    "loss model",
    "active queue",
    "partition",
    "link down",
    "host down",
    "too large",
    "rule",
    "no mapping",
)
(
    _,
    QUEUE_FULL,
    LOST_AT_RANDOM,
    LOST_BY_MODEL,
    ACTIVE_QUEUE,
    PARTITION,
    LINK_DOWN,
    HOST_DOWN,
    TOO_LARGE,
    DENIED,
    NO_MAPPING,
) = range(len(REASONS))
NO_WAY = "no way"
"""Why a host counts what it cannot pass on, or send: no links lead there."""
