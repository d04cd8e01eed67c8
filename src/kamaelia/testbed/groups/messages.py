"""What hosts and routers say to each other about groups, and how it looks in bytes.

IPv4 has IGMP, straight on IP (protocol 2); IPv6 has MLD, which is a part of ICMPv6 (next header 58). They are
one protocol in two spellings, so here they have one set of messages, and a **family** that spells them:

| message | IGMP | MLD |
| --- | --- | --- |
| `Query`, general or of a group | v1 (RFC 1112), v2 (RFC 2236): 0x11, 8 bytes | v1 (RFC 2710): 130, 24 |
| `Query`, of sources as well | v3 (RFC 3376): 0x11, 12 bytes and more | v2 (RFC 3810): 130, 28 and more |
| `Report` of one group | v1: type 0x12; v2: type 0x16 | v1: type 131 |
| `Report` of records | v3: type 0x22 | v2: type 143 |
| `Leave` | v2: type 0x17 | v1 ("done"): type 132 |

A message's ``version`` is that of its own family. An old report says of one group what a record
MODE_IS_EXCLUDE without sources says (RFC 3376 section 7.3.2), so this is how it is represented.

**Codes.** A query tells hosts within what time to answer, in units of 0.1 s (MLD: 1 ms). From v3 (MLDv2)
on, a code whose first bit is set is a small floating-point number: 3 bits e, then 4 (MLD: 12) bits m, for
``(m | 0x10) << (e + 3)``. The query interval is spelt in the same way, in seconds. What lies between two
codes is rounded down; what is less than one unit becomes one, as code 0 means version 1. There is no code
for more than 25.5 s in IGMPv2, 65.535 s in MLDv1, 3174.4 s in IGMPv3 and 8387.584 s in MLDv2.

**Checksums.** Both are the Internet checksum (RFC 1071): that of IGMP over the message, that of MLD over a
pseudo-header with the addresses of the packet as well (RFC 8200 section 8.1). So whoever makes bytes, or
reads them, says between which addresses they travel; these also tell which family it is.

**What is refused** when reading: what is too short for its own counts, a wrong checksum, a type or a length
that no version has, a group that is none. Records of unknown types are passed over, auxiliary data,
reserved fields and what follows the message are ignored, as the RFCs want it. Not looked at: hop limit,
router alert, and whether the sender of MLD has a link-local address; they belong to the packet around.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, TypeAlias

from kamaelia.axon import LocalProtocolError, RemoteProtocolError, UsageError

from .timing import SECOND

Mode: TypeAlias = Literal["include", "exclude"]
"""Which of its sources a group is wanted from: those listed, or all but those."""


# --- families -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Family:
    """How IPv4 or IPv6 spells group management: `IGMP` or `MLD`.

    >>> MLD.all_hosts, MLD.newest
    ('ff02::1', 2)
    """

    name: str
    """As people call the protocol."""
    octets: int
    """How long an address is."""
    newest: int
    """The version that knows sources."""
    all_hosts: str
    """Where general queries go."""
    all_routers: str
    """Where hosts of the version before the newest say that they leave."""
    all_reports: str
    """Where reports of the newest version go."""
    unspecified: str
    """What stands for no address."""
    unit: int
    """Of the time that a query leaves for answers, in nanoseconds."""
    overhead: int
    """How many bytes of IP headers, with a router alert, go before a message."""

    @property
    def older(self) -> int:
        """The version before the newest, which knows groups but no sources."""
        return self.newest - 1

    def __repr__(self) -> str:
        return self.name


IGMP = Family("IGMP", 4, 3, "224.0.0.1", "224.0.0.2", "224.0.0.22", "0.0.0.0", SECOND // 10, 24)
"""Group management of IPv4."""
MLD = Family("MLD", 16, 2, "ff02::1", "ff02::2", "ff02::16", "::", SECOND // 1000, 48)
"""Group management of IPv6."""


@lru_cache(maxsize=65536)
def packed(address: str) -> bytes:
    """Return the bytes of an address, by which addresses are compared. Raises `UsageError` if it is none.

    >>> packed("10.0.0.2") < packed("10.0.0.10")
    True
    """
    return _parsed(address).packed


@lru_cache(maxsize=65536)
def normal(address: str) -> str:
    """Return an address in its one spelling. Raises `UsageError` if it is none.

    >>> normal("FF3E:0:0::8000:1")
    'ff3e::8000:1'
    """
    return str(_parsed(address))


def ordered(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return addresses in the order of their numbers, so that sets of them have one.

    >>> ordered({"10.0.0.10", "10.0.0.2"})
    ('10.0.0.2', '10.0.0.10')
    """
    return tuple(sorted(addresses, key=packed))


def is_group(address: str) -> bool:
    """Say whether an address is that of a group. Raises `UsageError` if it is none.

    >>> is_group("239.1.2.3"), is_group("ff02::1"), is_group("10.0.0.1")
    (True, True, False)
    """
    octets = packed(address)
    return octets[0] == 0xFF if len(octets) == 16 else 224 <= octets[0] <= 239


def is_reported(group: str) -> bool:
    """Say whether hosts report a group: not the one of all hosts, and in IPv6 none that stays in the host.

    RFC 3376 section 5, RFC 3810 section 6.

    >>> is_reported("239.1.2.3"), is_reported("224.0.0.1"), is_reported("ff01::5")
    (True, False, False)
    """
    octets = packed(group)
    if len(octets) == 4:
        return group != IGMP.all_hosts
    return group != MLD.all_hosts and octets[1] & 15 > 1


def family_of(address: str) -> Family:
    """Return the family of an address. Raises `UsageError` if it is none.

    >>> family_of("10.0.0.1")
    IGMP
    """
    return IGMP if len(packed(address)) == 4 else MLD


def check_group(group: str, family: Family) -> str:
    """Return the one spelling of a group of a family. Raises `UsageError` if it is none.

    >>> check_group("10.0.0.1", IGMP)
    Traceback (most recent call last):
    kamaelia.axon.errors.UsageError: group='10.0.0.1' is no group of IGMP: give an address such as '239.1.2.3'
    """
    if family_of(group) is not family or not is_group(group):
        example = "239.1.2.3" if family is IGMP else "ff3e::8000:1"
        raise UsageError(f"group={group!r} is no group of {family}: give an address such as {example!r}")
    return normal(group)


def check_version(version: int | None, family: Family) -> int:
    """Return the version that a machine is to speak; without one it is the newest. Raises `UsageError`.

    >>> check_version(None, IGMP), check_version(1, MLD)
    (3, 1)
    """
    if version is None:
        return family.newest
    if version not in (family.older, family.newest):
        raise UsageError(
            f"version={version!r}: {family} is spoken in version {family.older} or {family.newest} here"
        )
    return version


# --- codes ----------------------------------------------------------------------------------------


def to_code(value: int, bits: int) -> int:
    """Return the floating-point code of a number, rounded down.

    Raises `LocalProtocolError` if none is so large.

    >>> to_code(100, 8), to_code(128, 8), to_code(1_000_000, 16)
    (100, 128, 52868)
    """
    top, mantissa_bits = 1 << (bits - 1), bits - 4
    if value < top:
        return value
    exponent = value.bit_length() - bits
    if exponent > 7:
        largest = from_code(2 * top - 1, bits)
        raise LocalProtocolError(f"{value} has no code of {bits} bits: give at most {largest}")
    mantissa = (value >> (exponent + 3)) - (1 << mantissa_bits)
    return top | exponent << mantissa_bits | mantissa


def from_code(code: int, bits: int) -> int:
    """Return the number that a floating-point code of 8 or 16 bits stands for.

    >>> from_code(100, 8), from_code(128, 8), from_code(255, 8)
    (100, 128, 31744)
    """
    if code < 1 << (bits - 1):
        return code
    mantissa_bits = bits - 4
    exponent = (code >> mantissa_bits) & 7
    mantissa = code & ((1 << mantissa_bits) - 1)
    return (mantissa | 1 << mantissa_bits) << (exponent + 3)


# --- messages -------------------------------------------------------------------------------------


class Kind(IntEnum):
    """What a record says (RFC 3376 section 4.2.12), by the short names of its section 6.4.

    >>> Kind.TO_EX.value
    4
    """

    IS_IN = 1
    """MODE_IS_INCLUDE: I want it from these."""
    IS_EX = 2
    """MODE_IS_EXCLUDE: I want it from all but these."""
    TO_IN = 3
    """CHANGE_TO_INCLUDE_MODE: from now on only from these."""
    TO_EX = 4
    """CHANGE_TO_EXCLUDE_MODE: from now on from all but these."""
    ALLOW = 5
    """ALLOW_NEW_SOURCES: from these as well."""
    BLOCK = 6
    """BLOCK_OLD_SOURCES: from these no more."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a host reports of one group.

    >>> Record(Kind.ALLOW, "232.1.2.3", ("10.0.0.1",)).sources
    ('10.0.0.1',)
    """

    kind: Kind
    group: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A router asks who wants what: any group, one group, or some sources of it.

    >>> query = Query(3, "232.1.2.3", ("10.0.0.1",), max_response=2_500_000_000)
    >>> from_bytes(query.to_bytes("10.0.0.254", "232.1.2.3"), "10.0.0.254", "232.1.2.3") == query
    True
    """

    version: int
    group: str | None = None
    """None asks for all groups."""
    sources: tuple[str, ...] = ()
    """Asked for, in the newest version only; none asks for the whole group."""
    max_response: int = 10 * SECOND
    """Within what time to answer, in nanoseconds."""
    suppress: bool = False
    """Other routers are not to change their timers for this ("S flag"), in the newest version only."""
    robustness: int = 0
    """RV of the router, in the newest version only; 0 does not tell, and more than 7 cannot be told."""
    interval: int = 0
    """QI of the router in nanoseconds, in the newest version only; 0 does not tell."""

    def to_bytes(self, source: str, destination: str) -> bytes:
        """Return the message, to be sent between these addresses.

        Raises `LocalProtocolError` for what its version cannot say.

        >>> Query(2, "239.1.2.3", max_response=1_000_000_000).to_bytes("10.0.0.254", "239.1.2.3").hex(" ")
        '11 0a fd f0 ef 01 02 03'
        """
        family = _family_between(source, destination)
        _check_versions(self, family, 1, family.newest)
        if self.group is None and self.sources:
            raise LocalProtocolError(f"a query for sources={self.sources!r} of no group: name the group")
        code = _response_code(self.max_response, family, self.version)
        group = bytes(family.octets) if self.group is None else _group_bytes(self.group, family)
        if self.version < family.newest:
            if self.sources or self.suppress:
                raise LocalProtocolError(
                    f"{family} v{self.version} has no queries for sources, and no S flag: "
                    f"say version={family.newest}"
                )
            rest = b""
        else:
            robustness = self.robustness if self.robustness <= 7 else 0
            interval = to_code(self.interval // SECOND, 8)
            rest = struct.pack("!BBH", self.suppress << 3 | robustness, interval, len(self.sources))
            rest += b"".join(_bytes_of(one, family) for one in self.sources)
        if family is IGMP:
            return _with_checksum(struct.pack("!BBH", 0x11, code, 0) + group + rest, source, destination)
        return _with_checksum(struct.pack("!BBHHH", 130, 0, 0, code, 0) + group + rest, source, destination)


@dataclass(frozen=True, slots=True)
class Report:
    """A host says what it wants: of one group in the older versions, else by any number of records.

    >>> Report(2, (Record(Kind.IS_EX, "239.1.2.3"),)).to_bytes("10.0.0.1", "239.1.2.3").hex(" ")
    '16 00 f8 fa ef 01 02 03'
    """

    version: int
    records: tuple[Record, ...]

    def to_bytes(self, source: str, destination: str) -> bytes:
        """Return the message, to be sent between these addresses.

        Raises `LocalProtocolError` for what its version cannot say.

        >>> Report(3, ()).to_bytes("10.0.0.1", "224.0.0.22").hex(" ")
        '22 00 dd ff 00 00 00 00'
        """
        family = _family_between(source, destination)
        _check_versions(self, family, 1, family.newest)
        if self.version < family.newest:
            if len(self.records) != 1 or self.records[0].kind is not Kind.IS_EX or self.records[0].sources:
                raise LocalProtocolError(
                    f"{family} v{self.version} reports one group, without sources: "
                    f"give one record {Kind.IS_EX!r} of it, or say version={family.newest}"
                )
            group = _group_bytes(self.records[0].group, family)
            if family is IGMP:
                head = struct.pack("!BBH", 0x12 if self.version == 1 else 0x16, 0, 0)
            else:
                head = struct.pack("!BBHHH", 131, 0, 0, 0, 0)
            return _with_checksum(head + group, source, destination)
        parts = [struct.pack("!BBHHH", 0x22 if family is IGMP else 143, 0, 0, 0, len(self.records))]
        for record in self.records:
            parts.append(struct.pack("!BBH", record.kind, 0, len(record.sources)))
            parts.append(_group_bytes(record.group, family))
            parts.extend(_bytes_of(one, family) for one in record.sources)
        return _with_checksum(b"".join(parts), source, destination)


@dataclass(frozen=True, slots=True)
class Leave:
    """A host of an older version says that it does not want a group any more.

    >>> Leave(2, "239.1.2.3").to_bytes("10.0.0.1", "224.0.0.2").hex(" ")
    '17 00 f7 fa ef 01 02 03'
    """

    version: int
    group: str

    def to_bytes(self, source: str, destination: str) -> bytes:
        """Return the message, to be sent between these addresses.

        Raises `LocalProtocolError` for a version that has no such message.

        >>> len(Leave(1, "ff3e::8000:1").to_bytes("fe80::1", "ff02::2"))
        24
        """
        family = _family_between(source, destination)
        _check_versions(self, family, family.older, family.older)
        group = _group_bytes(self.group, family)
        head = struct.pack("!BBH", 0x17, 0, 0) if family is IGMP else struct.pack("!BBHHH", 132, 0, 0, 0, 0)
        return _with_checksum(head + group, source, destination)


Message: TypeAlias = Query | Report | Leave
"""Whatever is said about groups."""


def size_of(message: Message, family: Family) -> int:
    """Return how many bytes a message has, without making them.

    >>> size_of(Report(3, (Record(Kind.TO_EX, "239.1.2.3"),)), IGMP)
    16
    """
    octets = family.octets
    if message.version < family.newest or isinstance(message, Leave):
        return 4 + octets if family is IGMP else 8 + octets
    if isinstance(message, Query):
        return (8 if family is IGMP else 12) + octets * (1 + len(message.sources))
    return 8 + sum(4 + octets * (1 + len(record.sources)) for record in message.records)


@dataclass(frozen=True, slots=True)
class Send:
    """A machine wants a message to be sent, with its own address as the source.

    >>> Send("224.0.0.2", Leave(2, "239.1.2.3")).destination
    '224.0.0.2'
    """

    destination: str
    message: Message


def from_bytes(data: bytes, source: str, destination: str) -> Message:
    """Read a message that has travelled between these addresses.

    Raises `RemoteProtocolError`, and nothing else, for whatever is no message.

    >>> from_bytes(bytes.fromhex("1600f8faef010203"), "10.0.0.1", "239.1.2.3")
    Report(version=2, records=(Record(kind=<Kind.IS_EX: 2>, group='239.1.2.3', sources=()),))
    """
    family = _family_between(source, destination)
    if len(data) < 8:
        raise RemoteProtocolError(f"{len(data)} bytes are no message of {family}: the shortest has 8")
    if _sum(_pseudo_header(len(data), source, destination) + data) != 0xFFFF:
        raise RemoteProtocolError(f"a message of {family} with a wrong checksum, {data[2:4].hex()}")
    kind = data[0]
    if kind == (0x22 if family is IGMP else 143):
        return _read_report(data, family)
    if family is MLD and len(data) < 24:
        raise RemoteProtocolError(
            f"{len(data)} bytes are no message of MLD of type {kind}: the shortest has 24"
        )
    if kind == (0x11 if family is IGMP else 130):
        return _read_query(data, family)
    group = data[4:8] if family is IGMP else data[8:24]
    if kind == (0x12 if family is IGMP else 131):
        return Report(1, (Record(Kind.IS_EX, _group_in(group)),))
    if kind == 0x16 and family is IGMP:
        return Report(2, (Record(Kind.IS_EX, _group_in(group)),))
    if kind == (0x17 if family is IGMP else 132):
        return Leave(family.older, _group_in(group))
    raise RemoteProtocolError(f"{family} has no messages of type {kind}")


def as_told(query: Query, family: Family) -> Query:
    """Return a query as others read it, with times rounded. Raises `LocalProtocolError` as `Query.to_bytes`.

    >>> as_told(Query(3, max_response=250_000_000), IGMP).max_response
    200000000
    """
    source, destination = family.unspecified, family.all_hosts
    message = from_bytes(query.to_bytes(source, destination), source, destination)
    assert isinstance(message, Query)
    return message


def split(records: Iterable[Record], family: Family, mtu: int = 1500) -> list[Report]:
    """Return the reports, of the newest version, that it takes to send records over a link (RFC 3376 4.2.16).

    As many records go into a report as fit. One that does not fit alone is split by its sources; if it
    excludes sources, those which do not fit are left out, so more comes than is wanted.

    >>> records = [Record(Kind.IS_EX, f"239.0.0.{n}") for n in range(200)]
    >>> [len(report.records) for report in split(records, IGMP)]
    [183, 17]
    """
    room = mtu - family.overhead - 8
    most = (room - 4 - family.octets) // family.octets
    if most < 1:
        raise UsageError(f"mtu={mtu!r} is too small for a report of {family}: give 1500, or 1280")
    reports: list[Report] = []
    batch: list[Record] = []
    free = room
    for record in records:
        for piece in _pieces(record, most):
            size = 4 + family.octets * (1 + len(piece.sources))
            if size > free:
                reports.append(Report(family.newest, tuple(batch)))
                batch, free = [], room
            batch.append(piece)
            free -= size
    if batch:
        reports.append(Report(family.newest, tuple(batch)))
    return reports


def sources_of_a_query(family: Family, mtu: int = 1500) -> int:
    """Return how many sources a query may ask for (RFC 3376 section 4.1.8).

    >>> sources_of_a_query(IGMP)
    366
    """
    return (mtu - family.overhead - (12 if family is IGMP else 28)) // family.octets


# --- within ---------------------------------------------------------------------------------------


def _parsed(address: str) -> IPv4Address | IPv6Address:
    try:
        if "%" not in address:  # the name of an interface has no place in a message
            return ip_address(address)
    except (ValueError, TypeError):
        pass
    raise UsageError(f"{address!r} is no address of IPv4 or IPv6: give one such as '10.0.0.1' or 'fe80::1'")


def _family_between(source: str, destination: str) -> Family:
    family = family_of(destination)
    if family_of(source) is not family:
        raise UsageError(f"source={source!r} and destination={destination!r}: give two of one family")
    return family


def _check_versions(message: Message, family: Family, first: int, last: int) -> None:
    if not first <= message.version <= last:
        name = type(message).__name__
        which = f"only version {first}" if first == last else f"versions {first} to {last}"
        raise LocalProtocolError(f"{name} version={message.version!r}: {family} has this in {which}")


def _bytes_of(address: str, family: Family) -> bytes:
    octets = packed(address)
    if len(octets) != family.octets:
        raise LocalProtocolError(f"{address!r} cannot stand in a message of {family}")
    return octets


def _group_bytes(group: str, family: Family) -> bytes:
    octets = _bytes_of(group, family)
    if not is_group(group):
        raise LocalProtocolError(f"group={group!r} is no group: give an address such as '239.1.2.3'")
    return octets


def _response_code(time: int, family: Family, version: int) -> int:
    if family is IGMP and version == 1:
        return 0
    units = max(time // family.unit, 1 if time else 0)
    bits = 8 if family is IGMP else 16
    if version == family.newest:
        return to_code(units, bits)
    if family is IGMP:
        units = max(units, 1)  # 0 would be a query of version 1
    if units >= 1 << bits:
        most = ((1 << bits) - 1) * family.unit / SECOND
        raise LocalProtocolError(
            f"max_response={time / SECOND:g} s: {family} v{version} can say at most {most:g} s"
        )
    return units


def _pseudo_header(length: int, source: str, destination: str) -> bytes:
    if family_of(destination) is IGMP:
        return b""
    return packed(source) + packed(destination) + struct.pack("!LL", length, 58)


def _sum(data: bytes) -> int:
    """Add up words of 16 bits; what is carried is added too (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _with_checksum(data: bytes, source: str, destination: str) -> bytes:
    checksum = 0xFFFF - _sum(_pseudo_header(len(data), source, destination) + data)
    return data[:2] + struct.pack("!H", checksum) + data[4:]


def _group_in(octets: bytes) -> str:
    group = _text(octets)
    if not is_group(group):
        raise RemoteProtocolError(f"a message about group {group}, which is none")
    return group


def _text(octets: bytes) -> str:
    return str(IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets))


def _addresses_in(data: bytes, start: int, count: int, family: Family) -> tuple[str, ...]:
    size = family.octets
    if start + count * size > len(data):
        raise RemoteProtocolError(
            f"a message of {family} ends within its {count} sources: it has {len(data)} bytes"
        )
    return tuple(_text(data[at : at + size]) for at in range(start, start + count * size, size))


def _read_query(data: bytes, family: Family) -> Query:
    fixed = 8 if family is IGMP else 24
    code = data[1] if family is IGMP else struct.unpack_from("!H", data, 4)[0]
    octets = data[fixed - family.octets : fixed]
    group = _group_in(octets) if any(octets) else None
    if len(data) == fixed:
        if family is IGMP and code == 0:
            return Query(1, group)
        return Query(family.older, group, max_response=code * family.unit)
    if len(data) < fixed + 4:
        raise RemoteProtocolError(
            f"a query of {family} with {len(data)} bytes: it has {fixed}, or {fixed + 4} and more"
        )
    flags, interval, count = struct.unpack_from("!BBH", data, fixed)
    if group is None and count:
        raise RemoteProtocolError(f"a query of {family} for {count} sources of no group")
    return Query(
        family.newest,
        group,
        _addresses_in(data, fixed + 4, count, family),
        from_code(code, 8 if family is IGMP else 16) * family.unit,
        bool(flags & 8),
        flags & 7,
        from_code(interval, 8) * SECOND,
    )


def _read_report(data: bytes, family: Family) -> Report:
    (count,) = struct.unpack_from("!H", data, 6)
    known = Kind.__members__.values()
    records = []
    at = 8
    for number in range(1, count + 1):
        start = at + 4 + family.octets
        if start > len(data):
            raise RemoteProtocolError(
                f"a report of {family} ends within record {number} of {count}: it has {len(data)} bytes"
            )
        kind, auxiliary, sources = struct.unpack_from("!BBH", data, at)
        addresses = _addresses_in(data, start, sources, family)
        at = start + sources * family.octets + auxiliary * 4
        if at > len(data):
            raise RemoteProtocolError(
                f"a report of {family} ends within the auxiliary data of record {number} of {count}: "
                f"it has {len(data)} bytes"
            )
        if kind in known:
            records.append(Record(Kind(kind), _group_in(data[start - family.octets : start]), addresses))
    return Report(family.newest, tuple(records))


def _pieces(record: Record, most: int) -> Sequence[Record]:
    sources = record.sources
    if len(sources) <= most:
        return (record,)
    if record.kind in (Kind.IS_EX, Kind.TO_EX):
        return (Record(record.kind, record.group, sources[:most]),)
    return [Record(record.kind, record.group, sources[at : at + most]) for at in range(0, len(sources), most)]
