"""What is made of the verdict of the Autobahn test suite."""

from __future__ import annotations

from typing import Any

import pytest

from tools import autobahn

pytestmark = [pytest.mark.once, pytest.mark.one_core()]


def said(**behaviour: str) -> dict[str, Any]:
    """Return what the suite says of cases: how each went; all of them close as they should."""
    return {
        name.replace("_", ".").lstrip("."): {"behavior": how, "behaviorClose": "OK"}
        for name, how in behaviour.items()
    }


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    ("ours", "theirs", "complaints"),
    [
        (said(_1_1="OK", _1_2="NON-STRICT"), said(_1_1="OK", _1_2="NON-STRICT"), []),
        (said(_1_1="OK", _1_2="OK"), said(_1_1="OK"), []),
        (said(_1_1="FAILED"), said(_1_1="OK"), ["case 1.1: behavior is FAILED, of websockets OK"]),
        (said(_1_1="NON-STRICT"), said(_1_1="OK"), ["case 1.1: behavior is NON-STRICT, of websockets OK"]),
        (
            said(_1_1="OK"),
            said(_1_1="OK", _10_1="OK", _2_1="OK"),
            ["case 2.1: missing, of websockets OK", "case 10.1: missing, of websockets OK"],
        ),
    ],
)
def test_what_is_wrong_with_ours(role: str, ours: Any, theirs: Any, complaints: list[str]) -> None:
    found = autobahn.complaints(role, {"kamaelia": ours, "websockets": theirs})
    assert found == [f"{role}, {one}" for one in complaints]


def test_no_case_at_all_is_wrong() -> None:
    assert autobahn.complaints("client", {}) == ["client: there is no case of ours"]
    assert autobahn.complaints("client", {"websockets": said(_1_1="OK")}) == [
        "client: there is no case of ours",
        "client, case 1.1: missing, of websockets OK",
    ]
