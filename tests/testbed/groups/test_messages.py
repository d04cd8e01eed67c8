"""Messages of group management: their bytes, what cannot be said, what is refused, what a stranger reads."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, ProtocolError, RemoteProtocolError, UsageError
from kamaelia.testbed.groups import IGMP, MLD, Family, Kind, Leave, Message, Query, Record, Report, from_bytes
from kamaelia.testbed.groups.messages import (
    as_told,
    from_code,
    is_group,
    is_reported,
    normal,
    ordered,
    sources_of_a_query,
    split,
    to_code,
)

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SECOND = 10**9
FOUR, SIX = "10.0.0.254", "fe80::254"

# Message, between which addresses it travels, and its bytes, which tshark judges below.
GOLDEN: list[tuple[Message, str, str, str]] = [
    (Query(1), FOUR, "224.0.0.1", "1100 eeff 00000000"),
    (Query(2), FOUR, "224.0.0.1", "1164 ee9b 00000000"),
    (Query(2, "239.1.2.3", max_response=SECOND), FOUR, "239.1.2.3", "110a fdf0 ef010203"),
    (
        Query(3, robustness=2, interval=125 * SECOND),
        FOUR,
        "224.0.0.1",
        "1164 ec1e 00000000 02 7d 0000",
    ),
    (
        Query(3, "232.1.2.3", ("10.0.0.1", "10.0.0.2"), SECOND, True, 7, 160 * SECOND),
        FOUR,
        "232.1.2.3",
        "110a e167 e8010203 0f 84 0002 0a000001 0a000002",
    ),
    (Query(3, "232.1.2.3", (), 25_600_000_000), FOUR, "232.1.2.3", "1190 046b e8010203 00 00 0000"),
    (Report(1, (Record(Kind.IS_EX, "239.1.2.3"),)), "10.0.0.7", "239.1.2.3", "1200 fcfa ef010203"),
    (Report(2, (Record(Kind.IS_EX, "239.1.2.3"),)), "10.0.0.7", "239.1.2.3", "1600 f8fa ef010203"),
    (Leave(2, "239.1.2.3"), "10.0.0.7", "224.0.0.2", "1700 f7fa ef010203"),
    (
        Report(
            3,
            (
                Record(Kind.TO_EX, "239.1.2.3"),
                Record(Kind.ALLOW, "232.1.2.3", ("10.0.0.1",)),
                Record(Kind.BLOCK, "232.1.2.3", ("10.0.0.2", "10.0.0.3")),
            ),
        ),
        "10.0.0.7",
        "224.0.0.22",
        "2200 ebe4 0000 0003 04000000 ef010203 05000001 e8010203 0a00000106000002 e8010203 0a000002 0a000003",
    ),
    (Query(1), SIX, "ff02::1", "8200 56c4 2710 0000 00000000000000000000000000000000"),
    (
        Query(2, "ff3e::8000:1", ("2001:db8::1",), 2 * SECOND, robustness=2, interval=125 * SECOND),
        SIX,
        "ff3e::8000:1",
        "8200 463b 07d0 0000 ff3e0000000000000000000080000001 02 7d 0001 20010db8000000000000000000000001",
    ),
    (
        Report(1, (Record(Kind.IS_EX, "ff3e::8000:1"),)),
        "fe80::7",
        "ff3e::8000:1",
        "8300 7fa4 0000 0000 ff3e0000000000000000000080000001",
    ),
    (
        Leave(1, "ff3e::8000:1"),
        "fe80::7",
        "ff02::2",
        "8400 fedf 0000 0000 ff3e0000000000000000000080000001",
    ),
    (
        Report(2, (Record(Kind.IS_IN, "ff3e::8000:1", ("2001:db8::1",)),)),
        "fe80::7",
        "ff02::16",
        "8f00 c4fb 0000 0001 01000001 ff3e0000000000000000000080000001 20010db8000000000000000000000001",
    ),
]


@pytest.mark.parametrize(("message", "source", "destination", "text"), GOLDEN, ids=range(len(GOLDEN)))
def test_bytes_of_messages(message: Message, source: str, destination: str, text: str) -> None:
    data = bytes.fromhex(text)
    assert message.to_bytes(source, destination).hex() == data.hex()
    assert from_bytes(data, source, destination) == message


@pytest.mark.parametrize(("message", "source", "destination", "text"), GOLDEN, ids=range(len(GOLDEN)))
def test_a_changed_bit_is_noticed(message: Message, source: str, destination: str, text: str) -> None:
    data = bytes.fromhex(text)
    for bit in range(len(data) * 8):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteProtocolError, match="checksum"):
            from_bytes(bytes(broken), source, destination)


@pytest.mark.parametrize(("message", "source", "destination", "text"), GOLDEN, ids=range(len(GOLDEN)))
def test_what_is_cut_off_is_refused(message: Message, source: str, destination: str, text: str) -> None:
    data = bytes.fromhex(text)
    # What is left of a longer query may be a whole one of an older version; nothing else is whole when cut.
    fixed = 8 if ":" not in source else 24
    whole = {fixed, fixed + 4} if isinstance(message, Query) else set()
    for length in range(len(data)):
        cut = with_checksum(data[:length], source, destination)
        if length not in whole or (message.sources and length == fixed + 4):
            with pytest.raises(RemoteProtocolError):
                from_bytes(cut, source, destination)


def with_checksum(data: bytes, source: str, destination: str) -> bytes:
    """Give bytes the right checksum, computed the slow way."""
    if len(data) < 4:
        return data
    octets = data[:2] + b"\0\0" + data[4:]
    pseudo = b""
    if ":" in destination:
        import ipaddress

        pseudo = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
        pseudo += len(data).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    total = 0
    padded = pseudo + octets + b"\0" * (len(octets) % 2)
    for at in range(0, len(padded), 2):
        total += int.from_bytes(padded[at : at + 2], "big")
        total = total % 0x10000 + total // 0x10000
    return data[:2] + (0xFFFF - total).to_bytes(2, "big") + data[4:]


def refused(text: str, *, six: bool = False) -> str:
    source, destination = (SIX, "ff02::1") if six else (FOUR, "224.0.0.1")
    with pytest.raises(RemoteProtocolError) as caught:
        from_bytes(with_checksum(bytes.fromhex(text), source, destination), source, destination)
    return str(caught.value)


def test_what_is_no_message_is_refused_with_a_reason() -> None:
    assert refused("") == "0 bytes are no message of IGMP: the shortest has 8"
    assert refused("1100000000000000 0000") == "a query of IGMP with 10 bytes: it has 8, or 12 and more"
    assert refused("1100 0000 0a000001") == "a message about group 10.0.0.1, which is none"
    assert refused("1600 0000 00000000") == "a message about group 0.0.0.0, which is none"
    assert refused("1300 0000 ef010203") == "IGMP has no messages of type 19"
    assert refused("1100 0000 00000000 0000 0001 0a000001") == "a query of IGMP for 1 sources of no group"
    assert refused("1100 0000 ef010203 0000 0002 0a000001") == (
        "a message of IGMP ends within its 2 sources: it has 16 bytes"
    )
    assert refused("2200 0000 0000 0001") == "a report of IGMP ends within record 1 of 1: it has 8 bytes"
    assert refused("2200 0000 0000 0001 0101 0000 ef010203") == (
        "a report of IGMP ends within the auxiliary data of record 1 of 1: it has 16 bytes"
    )
    assert (
        refused("8200 0000 0000 0000 0000", six=True)
        == "10 bytes are no message of MLD of type 130: the shortest has 24"
    )
    assert refused("8200" + "00" * 24, six=True) == "a query of MLD with 26 bytes: it has 24, or 28 and more"
    assert refused("8000" + "00" * 22, six=True) == "MLD has no messages of type 128"


def test_what_the_rfcs_ignore_is_ignored() -> None:
    def read(text: str) -> Message:
        return from_bytes(with_checksum(bytes.fromhex(text), FOUR, "224.0.0.1"), FOUR, "224.0.0.1")

    # auxiliary data, a record of an unknown type, reserved fields, and what follows the last record
    text = "22ff 0000 ffff 0002 0201 0001 ef010203 0a000001 12345678 0700 0000 ef010204 99"
    assert read(text) == Report(3, (Record(Kind.IS_EX, "239.1.2.3", ("10.0.0.1",)),))
    # what follows a message of version 2, and the reserved bits of a query of version 3
    assert read("16ff 0000 ef010203 99999999") == Report(2, (Record(Kind.IS_EX, "239.1.2.3"),))
    assert read("1101 0000 00000000 f000 0000") == Query(3, max_response=SECOND // 10)


@given(st.binary(max_size=100), st.booleans())
def test_random_bytes_are_refused_in_one_way(data: bytes, six: bool) -> None:
    source, destination = (SIX, "ff02::16") if six else (FOUR, "224.0.0.22")
    for one in (data, with_checksum(data, source, destination)):
        try:
            message = from_bytes(one, source, destination)
        except ProtocolError as error:
            assert type(error) is RemoteProtocolError
        else:
            assert isinstance(message, (Query, Report, Leave))


HEADS = [0x11, 0x12, 0x16, 0x17, 0x22, 130, 131, 132, 143]


@given(st.sampled_from(HEADS), st.binary(min_size=3, max_size=100), st.booleans())
def test_random_bytes_that_begin_right_are_refused_in_one_way(head: int, data: bytes, six: bool) -> None:
    source, destination = (SIX, "ff02::16") if six else (FOUR, "224.0.0.22")
    try:
        from_bytes(with_checksum(bytes([head]) + data, source, destination), source, destination)
    except ProtocolError as error:
        assert type(error) is RemoteProtocolError


def addresses(family: Family, *, groups: bool = False) -> st.SearchStrategy[str]:
    if family is IGMP:
        first = st.integers(224, 239) if groups else st.integers(1, 223)
        return st.builds(
            lambda a, b: f"{a}.{b >> 16}.{b >> 8 & 255}.{b & 255}", first, st.integers(0, 2**24 - 1)
        )
    return st.integers(0, 2**64 - 1).map(
        lambda n: normal(f"{'ff3e' if groups else '2001'}::{n >> 48:x}:{n & 0xFFFF:x}")
    )


def messages(family: Family) -> st.SearchStrategy[Message]:
    groups, sources = addresses(family, groups=True), st.lists(addresses(family), max_size=5).map(tuple)
    new = family.newest
    time = st.integers(0, 3000 * SECOND)
    # 0 tenths of a second are a query of version 1 in IGMP
    old_queries = st.builds(
        lambda group, units: Query(new - 1, group, max_response=units * family.unit),
        st.none() | groups,
        st.integers(1, 255),
    )
    queries = st.builds(
        lambda group, of, time, flag, robustness, interval: as_told(
            Query(new, group, of if group else (), time, flag, robustness, interval), family
        ),
        st.none() | groups,
        sources,
        time,
        st.booleans(),
        st.integers(0, 7),
        time,
    )
    records = st.builds(Record, st.sampled_from(list(Kind)), groups, sources)
    return st.one_of(
        old_queries,
        queries,
        st.builds(lambda group: Report(new - 1, (Record(Kind.IS_EX, group),)), groups),
        st.builds(lambda group: Leave(new - 1, group), groups),
        st.builds(lambda some: Report(new, tuple(some)), st.lists(records, max_size=5)),
    )


@pytest.mark.parametrize("family", [IGMP, MLD], ids=repr)
@given(st.data())
def test_what_is_said_is_read(family: Family, data: st.DataObject) -> None:
    message = data.draw(messages(family))
    source, destination = ("10.0.0.7", "224.0.0.22") if family is IGMP else ("fe80::7", "ff02::16")
    octets = message.to_bytes(source, destination)
    assert from_bytes(octets, source, destination) == message
    assert octets == with_checksum(octets, source, destination)


# --- codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "bits", "value"),
    [
        (0, 8, 0),
        (127, 8, 127),
        (0x80, 8, 128),
        (0x8F, 8, 248),
        (0x90, 8, 256),
        (0xFF, 8, 31744),
        (0x7FFF, 16, 32767),
        (0x8000, 16, 32768),
        (0x9000, 16, 65536),
        (0xFFFF, 16, 8387584),
    ],
)
def test_codes(code: int, bits: int, value: int) -> None:
    assert from_code(code, bits) == value
    assert to_code(value, bits) == code


@pytest.mark.parametrize("bits", [8, 16])
def test_each_code_is_that_of_its_number(bits: int) -> None:
    values = [from_code(code, bits) for code in range(1 << bits)]
    assert values == sorted(set(values))
    assert [to_code(value, bits) for value in values] == list(range(1 << bits))
    # what lies between two is rounded down
    assert [to_code(value - 1, bits) for value in values[1:]] == list(range((1 << bits) - 1))
    with pytest.raises(LocalProtocolError, match=f"has no code of {bits} bits: give at most {values[-1]}"):
        to_code(from_code((1 << bits) - 1, bits) * 2, bits)


@pytest.mark.parametrize(
    ("family", "version", "asked", "told"),
    [
        (IGMP, 1, 3 * SECOND, 10 * SECOND),  # version 1 tells no time: it is always 10 s
        (IGMP, 2, SECOND, SECOND),
        (IGMP, 2, 1, SECOND // 10),  # and never 0, which would be version 1
        (IGMP, 3, 12_700_000_000, 12_700_000_000),
        (IGMP, 3, 13_500_000_000, 12_800_000_000),
        (IGMP, 3, 0, 0),
        (MLD, 1, 0, 0),
        (MLD, 1, 65_535_000_000, 65_535_000_000),
        (MLD, 2, 32_775_000_000, 32_768_000_000),
    ],
)
def test_times_as_they_are_told(family: Family, version: int, asked: int, told: int) -> None:
    assert as_told(Query(version, max_response=asked), family).max_response == told


# --- what cannot be said --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Query(4), r"Query version=4: IGMP has this in versions 1 to 3"),
        (Leave(3, "239.1.2.3"), r"Leave version=3: IGMP has this in only version 2"),
        (Query(2, "239.1.2.3", ("10.0.0.1",)), r"IGMP v2 has no queries for sources.*say version=3"),
        (Query(3, None, ("10.0.0.1",)), r"a query for sources=\('10.0.0.1',\) of no group"),
        (Query(2, max_response=26 * SECOND), r"max_response=26 s: IGMP v2 can say at most 25.5 s"),
        (Query(3, max_response=3500 * SECOND), r"35000 has no code of 8 bits: give at most 31744"),
        (Query(3, "10.0.0.1"), r"group='10.0.0.1' is no group"),
        (Query(3, "ff02::5"), r"'ff02::5' cannot stand in a message of IGMP"),
        (Report(2, ()), r"IGMP v2 reports one group, without sources: give one record <Kind.IS_EX: 2> of it"),
        (Report(2, (Record(Kind.TO_EX, "239.1.2.3"),)), r"IGMP v2 reports one group"),
        (Report(2, (Record(Kind.IS_EX, "239.1.2.3", ("10.0.0.1",)),)), r"IGMP v2 reports one group"),
    ],
)
def test_what_a_version_cannot_say(message: Message, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        message.to_bytes(FOUR, "224.0.0.1")


def test_addresses() -> None:
    with pytest.raises(UsageError, match=r"'fe80::1%eth0' is no address of IPv4 or IPv6"):
        normal("fe80::1%eth0")
    with pytest.raises(UsageError, match=r"'10.0.0' is no address"):
        is_group("10.0.0")
    with pytest.raises(
        UsageError, match=r"source='fe80::254' and destination='224.0.0.1': give two of one family"
    ):
        Query(3).to_bytes(SIX, "224.0.0.1")
    assert [is_group(one) for one in ("223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0")] == [
        False,
        True,
        True,
        False,
    ]
    reported = ("224.0.0.1", "224.0.0.251", "ff02::1", "ff02::fb", "ff01::5", "ff00::5", "ff05::2")
    assert [is_reported(one) for one in reported] == [False, True, False, True, False, False, True]
    assert ordered(["10.0.0.10", "10.0.0.9", "9.0.0.1"]) == ("9.0.0.1", "10.0.0.9", "10.0.0.10")


# --- more than one packet -------------------------------------------------------------------------


@pytest.mark.parametrize("family", [IGMP, MLD], ids=repr)
@pytest.mark.parametrize("kind", list(Kind))
def test_a_record_that_is_too_long_is_split_by_its_sources(family: Family, kind: Kind) -> None:
    prefix = "10.0." if family is IGMP else "2001:db8::"
    sources = tuple(f"{prefix}{n // 250}{'.' if family is IGMP else ':'}{n % 250 + 1}" for n in range(800))
    group = "232.1.2.3" if family is IGMP else "ff3e::8000:1"
    small = Record(Kind.TO_EX, group)
    reports = split([small, Record(kind, group, sources), small], family, 1500)
    address = "10.0.0.7" if family is IGMP else "fe80::7"
    for report in reports:
        assert family.overhead + len(report.to_bytes(address, family.all_reports)) <= 1500
    records = [record for report in reports for record in report.records]
    assert (records[0], records[-1]) == (small, small)
    told = tuple(source for record in records[1:-1] for source in record.sources)
    if kind in (
        Kind.IS_EX,
        Kind.TO_EX,
    ):  # to leave out some of what is excluded brings too much, not too little
        assert len(records) == 3
        assert told == sources[: len(told)]
        assert len(told) == {IGMP: 365, MLD: 89}[family]
    else:
        assert told == sources
        assert {record.kind for record in records[1:-1]} == {kind}


def test_how_much_fits() -> None:
    assert split([], IGMP) == []
    assert [sources_of_a_query(family) for family in (IGMP, MLD)] == [366, 89]
    for family, group, source in ((IGMP, "232.1.2.3", "10.0.0.1"), (MLD, "ff3e::8000:1", "2001:db8::1")):
        sources = (source,) * sources_of_a_query(family)
        octets = Query(family.newest, group, sources).to_bytes(family.unspecified, group)
        assert 1500 - family.octets < family.overhead + len(octets) <= 1500
    with pytest.raises(UsageError, match=r"mtu=50 is too small for a report of MLD"):
        split([], MLD, 50)


# --- what a stranger reads ------------------------------------------------------------------------


def ip_packet(data: bytes, source: str, destination: str) -> bytes:
    """A packet with a router alert, as RFC 3376 section 4 and RFC 3810 section 5 demand it."""
    import ipaddress

    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    if ":" in source:
        return (
            struct.pack("!LHBB", 6 << 28, 8 + len(data), 0, 1)
            + ends
            + bytes.fromhex("3a000502 00000100")
            + data
        )
    head = (
        struct.pack("!BBHHHBBH", 0x46, 0xC0, 24 + len(data), 0, 0, 1, 2, 0) + ends + bytes.fromhex("94040000")
    )
    words = sum(struct.unpack("!12H", head))
    checksum = 0xFFFF - (words % 0x10000 + words // 0x10000)
    return head[:10] + struct.pack("!H", checksum) + head[12:] + data


def tshark(packets: list[bytes], folder: Path) -> list[dict[str, Any]]:
    """Let tshark read packets; returns for each the values of all fields that it found, by name."""
    file = folder / "groups.pcap"
    with file.open("wb") as stream:
        stream.write(
            struct.pack("!LHHLLLL", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        )  # 101: packets begin with IP
        for number, packet in enumerate(packets):
            stream.write(struct.pack("!LLLL", number, 0, len(packet), len(packet)) + packet)
    command = ["tshark", "-r", str(file), "-T", "json", "-o", "ip.check_checksum:TRUE", "--no-duplicate-keys"]
    done = subprocess.run(command, capture_output=True, timeout=50, check=True)
    return [flat(one["_source"]["layers"]) for one in json.loads(done.stdout)]


def flat(tree: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                walk(key, below)
        elif isinstance(value, list):
            for below in value:
                walk(name, below)
        else:
            found.setdefault(name, []).append(value)

    walk("", tree)
    return found


@pytest.mark.once
@pytest.mark.needs("program:tshark")
def test_a_stranger_reads_what_we_mean(tmp_path: Path) -> None:
    packets = [ip_packet(message.to_bytes(*ends), *ends) for message, *ends, _ in GOLDEN]
    wrong = bytearray(packets[0])
    wrong[-1] ^= 1
    *read, last = tshark([*packets, bytes(wrong)], tmp_path)
    assert [text for text in last["_ws.expert.message"] if "checksum" in text.lower()], last
    assert len(read) == len(GOLDEN)
    for fields, (message, source, _, _) in zip(read, GOLDEN, strict=True):
        assert not [name for name in fields if "expert" in name or "malformed" in name], (message, fields)
        six = ":" in source
        protocol = "icmpv6" if six else "igmp"
        assert fields[f"{protocol}.checksum.status"] == ["1"], message  # good
        said = said_by(message, six)
        assert {name: fields.get(name, []) for name in said} == said


def said_by(message: Message, six: bool) -> dict[str, list[str]]:
    """What tshark is to find, by the names of its fields."""
    if isinstance(message, Leave):
        kind, group = ("icmpv6.type", "132"), [message.group]
    elif isinstance(message, Query):
        kind, group = ("icmpv6.type", "130"), [message.group or ("::" if six else "0.0.0.0")]
    elif message.version == (2 if six else 3):
        return said_by_records(message.records, six)
    else:
        kind, group = ("icmpv6.type", "131"), [record.group for record in message.records]
    if six:
        said = {kind[0]: [kind[1]], "icmpv6.mld.multicast_address": group}
    else:
        types = {"130": "0x11", "131": "0x12" if message.version == 1 else "0x16", "132": "0x17"}
        said = {"igmp.type": [types[kind[1]]], "igmp.maddr": group}
    if isinstance(message, Query):
        newest = message.version == (2 if six else 3)
        if six:
            name = "icmpv6.mld.maximum_response_" + ("code" if newest else "delay")
            said[name] = [str(message.max_response // 10**6)]
        elif message.version > 1:
            said["igmp.max_resp"] = [str(message.max_response // (SECOND // 10))]
        if newest:
            names = "icmpv6.mld.flag.s icmpv6.mld.flag.qrv icmpv6.mld.qqi icmpv6.mld.source_address"
            flag, robustness, interval, sources = (
                names if six else "igmp.s igmp.qrv igmp.qqic igmp.saddr"
            ).split()
            said[flag] = [str(int(message.suppress))]
            said[robustness] = [str(message.robustness)]
            said[interval] = [str(to_code(message.interval // SECOND, 8))]  # it shows the code
            said[sources] = list(message.sources)
    return said


def said_by_records(records: tuple[Record, ...], six: bool) -> dict[str, list[str]]:
    names = (
        "icmpv6.type record_type multicast_address source_address"
        if six
        else "igmp.type record_type maddr saddr"
    )
    kind, *others = names.split()
    prefix = "icmpv6.mldr.mar." if six else "igmp."
    values = [
        [str(record.kind.value) for record in records],
        [record.group for record in records],
        [source for record in records for source in record.sources],
    ]
    return {kind: ["143" if six else "0x22"]} | {
        prefix + name: value for name, value in zip(others, values, strict=True)
    }
