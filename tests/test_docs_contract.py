"""The page about the contract names, for each rule, where its tests are; and there they are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULE = re.compile(r"^### (\d+)\. (.+)\n((?:(?!^#).*\n)*)", re.MULTILINE)
TESTS = re.compile(r"^Tests: `(test_\w+\.py)`, `-k rule_(\d\d)`\.$", re.MULTILINE)


def test_every_rule_has_its_tests_where_the_page_says() -> None:
    page = (ROOT / "docs" / "explanation" / "contract.md").read_text()
    rules = RULE.findall(page)
    assert [int(number) for number, _, _ in rules] == list(range(1, 31))
    for number, title, text in rules:
        found = TESTS.findall(text)
        if not found:
            assert "not part of this version yet" in text, f"rule {number} ({title}) names no tests"
            continue
        ((file, named),) = found
        assert int(named) == int(number), f"rule {number} names the tests of rule {named}"
        (place,) = (ROOT / "tests").rglob(file)
        tests = place.read_text()
        assert f"def test_rule_{named}_" in tests, f"{file} has no test of rule {number}"
