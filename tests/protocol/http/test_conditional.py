"""Dates and conditions, by the sections of RFC 9110."""

from __future__ import annotations

import datetime
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.protocol.http import Headers
from kamaelia.protocol.http.conditional import (
    check,
    if_range_holds,
    is_etag,
    same_strongly,
    same_weakly,
    tags,
    weak,
)
from kamaelia.protocol.http.dates import format_date, parse_date

pytestmark = pytest.mark.one_core

WHEN = 784111777  # the date of the examples in 5.6.7
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
NOW = 1_700_000_000.0  # in November 2023


# --- dates: 5.6.7 -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (DATE, WHEN),
        ("Sunday, 06-Nov-94 08:49:37 GMT", WHEN),
        ("Sun Nov  6 08:49:37 1994", WHEN),
        ("Sun Nov 06 08:49:37 1994", WHEN),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800),
        ("Mon, 29 Feb 2016 00:00:00 GMT", 1456704000),
        ("Mon, 06 Nov 1994 08:49:37 GMT", WHEN),  # the wrong day of the week says nothing
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("sun, 06 nov 1994 08:49:37 gmt", None),  # dates are case sensitive
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:60:00 GMT", None),
        ("Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("Sun, 29 Feb 2015 00:00:00 GMT", None),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 0000 08:49:37 GMT", None),
        ("Sun, ٠٦ Nov 1994 08:49:37 GMT", None),
        (DATE + "\n", None),
        ("0", None),
        ("", None),
    ],
)
def test_dates_are_read_in_three_forms(text: str, seconds: int | None) -> None:
    assert parse_date(text, NOW) == seconds


@pytest.mark.parametrize(
    ("year", "now", "full"),
    [("94", 2023, 1994), ("73", 2023, 2073), ("74", 2023, 1974), ("00", 1999, 2000), ("99", 2000, 1999)],
)
def test_a_year_of_two_digits_is_never_more_than_fifty_years_ahead(year: str, now: int, full: int) -> None:
    at = (datetime.date(now, 7, 1) - datetime.date(1970, 1, 1)).days * 86400
    meant = (datetime.date(full, 11, 6) - datetime.date(1970, 1, 1)).days * 86400
    assert parse_date(f"Sunday, 06-Nov-{year} 00:00:00 GMT", at) == meant


@given(st.integers(-62135510400, 253402300799))
def test_what_is_written_is_read_again(seconds: int) -> None:
    assert parse_date(format_date(seconds), NOW) == seconds


@given(st.integers(0, 4102444800))
def test_dates_are_written_as_others_write_them(seconds: int) -> None:
    assert format_date(seconds + 0.5) == email.utils.formatdate(seconds, usegmt=True)


def test_dates_beyond_the_calendar_are_written_as_its_ends() -> None:
    assert format_date(1e30) == "Fri, 31 Dec 9999 23:59:59 GMT"
    assert format_date(-1e30) == "Mon, 01 Jan 0001 00:00:00 GMT"


# --- entity tags: 8.8.3 -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *(('"xyzzy"', True), ('W/"xyzzy"', True), ('""', True), ('"a,b"', True), ('"\xe9"', True)),
        *(("xyzzy", False), ('"', False), ('w/"x"', False), ('"a b"', False), ('"a"b"', False), ("*", False)),
    ],
)
def test_what_is_an_entity_tag(text: str, is_one: bool) -> None:
    assert is_etag(text) is is_one


@pytest.mark.parametrize(
    ("one", "other", "strongly", "weakly"),  # the table of 8.8.3.2
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_tags_are_compared_in_two_ways(one: str, other: str, strongly: bool, weakly: bool) -> None:
    assert same_strongly(one, other) is same_strongly(other, one) is strongly
    assert same_weakly(one, other) is same_weakly(other, one) is weakly


def test_a_tag_is_made_weak_once() -> None:
    assert weak('"a"') == weak(weak('"a"')) == 'W/"a"'


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('"a"', ['"a"']),
        ('"a","b" ,  W/"c"', ['"a"', '"b"', 'W/"c"']),
        (', ,"a",, "b",', ['"a"', '"b"']),  # 5.6.1.2: empty elements are passed over
        ('"a,b"', ['"a,b"']),
        ('"a" "b"', []),
        ('"a", b, "c"', ['"a"']),
        ("", []),
    ],
)
def test_lists_of_tags(value: str, found: list[str]) -> None:
    assert list(tags(value)) == found


# --- conditions: 13.1, and their precedence: 13.2.2 ------------------------------------------------

OLDER, NEWER = format_date(WHEN - 1), format_date(WHEN + 1)

CASES = [
    # 13.1.1: If-Match
    ("PUT", {"If-Match": '"a"'}, None),
    ("PUT", {"If-Match": '"x", "a"'}, None),
    ("PUT", {"If-Match": '"b"'}, 412),
    ("PUT", {"If-Match": 'W/"a"'}, 412),  # it compares strongly
    ("PUT", {"If-Match": "*"}, None),
    ("PUT", {"If-Match": "a"}, 412),
    ("GET", {"If-Match": '"b"'}, 412),
    # 13.1.2: If-None-Match
    ("GET", {"If-None-Match": '"a"'}, 304),
    ("HEAD", {"If-None-Match": '"a"'}, 304),
    ("PUT", {"If-None-Match": '"a"'}, 412),
    ("GET", {"If-None-Match": 'W/"a"'}, 304),  # it compares weakly
    ("GET", {"If-None-Match": '"b"'}, None),
    ("GET", {"If-None-Match": "*"}, 304),
    ("PUT", {"If-None-Match": "*"}, 412),
    ("GET", {"If-None-Match": [('"x"'), ('"a"')]}, 304),
    # 13.1.3: If-Modified-Since
    ("GET", {"If-Modified-Since": DATE}, 304),
    ("GET", {"If-Modified-Since": NEWER}, 304),
    ("GET", {"If-Modified-Since": OLDER}, None),
    ("HEAD", {"If-Modified-Since": DATE}, 304),
    ("POST", {"If-Modified-Since": DATE}, None),
    ("GET", {"If-Modified-Since": "yesterday"}, None),
    ("GET", {"If-Modified-Since": [DATE, DATE]}, None),
    # 13.1.4: If-Unmodified-Since
    ("PUT", {"If-Unmodified-Since": DATE}, None),
    ("PUT", {"If-Unmodified-Since": NEWER}, None),
    ("PUT", {"If-Unmodified-Since": OLDER}, 412),
    ("GET", {"If-Unmodified-Since": OLDER}, 412),
    ("PUT", {"If-Unmodified-Since": "yesterday"}, None),
    # 13.2.2: tags go before dates, and what is to be the same before what is not
    ("GET", {"If-None-Match": '"b"', "If-Modified-Since": DATE}, None),
    ("GET", {"If-None-Match": '"a"', "If-Modified-Since": OLDER}, 304),
    ("PUT", {"If-Match": '"a"', "If-Unmodified-Since": OLDER}, None),
    ("PUT", {"If-Match": '"b"', "If-Unmodified-Since": DATE}, 412),
    ("GET", {"If-Match": '"b"', "If-None-Match": '"a"'}, 412),
    ("GET", {"If-Match": '"a"', "If-None-Match": '"a"'}, 304),
    ("GET", {"If-Unmodified-Since": DATE, "If-Modified-Since": DATE}, 304),
    # 13.2.1: methods for which they mean nothing
    ("OPTIONS", {"If-Match": '"b"'}, None),
    ("TRACE", {"If-None-Match": '"a"'}, None),
    ("GET", {}, None),
]


@pytest.mark.parametrize(("method", "headers", "status"), CASES)
def test_conditions(method: str, headers: dict[str, str], status: int | None) -> None:
    assert check(method, Headers(headers), '"a"', WHEN + 0.7, now=NOW) == status


def test_without_validators_only_a_star_matches() -> None:
    for headers, status in [
        ({"If-Match": '"a"'}, 412),
        ({"If-Match": "*"}, None),
        ({"If-None-Match": '"a"'}, None),
        ({"If-None-Match": "*"}, 304),
        ({"If-Modified-Since": DATE}, None),
        ({"If-Unmodified-Since": DATE}, None),
    ]:
        assert check("GET", Headers(headers), now=NOW) == status


@pytest.mark.parametrize(
    ("value", "holds"),  # 13.1.5
    [
        ('"a"', True),
        ('W/"a"', False),
        ('"b"', False),
        (DATE, True),
        (NEWER, False),
        (OLDER, False),
        ("", False),
    ],
)
def test_whether_a_part_still_fits(value: str, holds: bool) -> None:
    assert if_range_holds(value, '"a"', WHEN + 0.7, now=NOW) is holds


def test_a_part_fits_by_date_only_if_that_is_a_second_old() -> None:
    assert not if_range_holds(DATE, None, WHEN, now=WHEN + 0.5)
    assert if_range_holds(DATE, None, WHEN, now=WHEN + 1)
    assert not if_range_holds(DATE, None, None, now=WHEN + 1)
    assert not if_range_holds('W/"a"', 'W/"a"', None, now=NOW)
