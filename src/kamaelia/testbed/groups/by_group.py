"""What somebody knows of each group: one record a group, in the order in which they came.

It is less than a dictionary, for there may be a million at whose link one group is wanted: the first record
is kept as it is, and a dictionary is made for a second.
"""

from __future__ import annotations

from typing import Generic, TypeVar

R = TypeVar("R")


class ByGroup(Generic[R]):
    """Records by group.

    >>> records = ByGroup()
    >>> records.put("239.1.2.3", "one")
    >>> records.put("239.1.2.4", "another")
    >>> records.find("239.1.2.3"), records.find("239.1.2.5"), records.items()
    ('one', None, [('239.1.2.3', 'one'), ('239.1.2.4', 'another')])
    """

    __slots__ = ("_all", "_group", "_record")

    def __init__(self) -> None:
        self._group: str | None = None  # of the only record
        self._record: R | None = None
        self._all: dict[str, R] | None = None  # when there were ever two

    def find(self, group: str) -> R | None:
        """Return the record of a group, if there is one.

        >>> ByGroup().find("239.1.2.3") is None
        True
        """
        if self._all is not None:
            return self._all.get(group)
        return self._record if group == self._group else None

    def put(self, group: str, record: R) -> None:
        """Keep a record of a group that has none.

        >>> records = ByGroup()
        >>> records.put("239.1.2.3", "one")
        >>> records.find("239.1.2.3")
        'one'
        """
        if self._all is None and self._group is None:
            self._group, self._record = group, record
            return
        if self._all is None:
            self._all = dict(self.items())
            self._group = self._record = None
        self._all[group] = record

    def drop(self, group: str) -> None:
        """Forget the record of a group, which has one.

        >>> records = ByGroup()
        >>> records.put("239.1.2.3", "one")
        >>> records.drop("239.1.2.3")
        >>> records.items()
        []
        """
        if self._all is not None:
            del self._all[group]
        else:
            self._group = self._record = None

    def items(self) -> list[tuple[str, R]]:
        """Return all groups with their records, as they are now.

        >>> ByGroup().items()
        []
        """
        if self._all is not None:
            return list(self._all.items())
        return [] if self._group is None or self._record is None else [(self._group, self._record)]
