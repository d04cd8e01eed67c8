"""Faults as data: what was done to a network in a run, when, and how it is written down.

An `Act` is one use of a verb: the moment, whose verb it is, and its arguments, all of which can be written in
a file. A `Fault` is one or two of them: what has begun (a crash) and, if that was so, its end (the restart).
The two stay together. Who leaves out only the end makes the fault a worse one, which may well fail for
another reason: from a server that never comes back nobody expects an answer.

A `Journal` is told of all deeds in a run (`faults`), and knows for each step of the network's script what has
come of it. So what `Network.disturb` has drawn, and what a script has done, becomes a list of acts at certain
times, of which each can be left out by itself; the others stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ...axon import UsageError
from ...axon.errors import suggestion
from ..disk import HostDisk
from ..faults import Deed, journal
from ..network import Host, Network, NetworkLink
from ..simulated import can_be_written

if TYPE_CHECKING:
    from ..simulation import Simulation

PLANNING = ("at", "when", "disturb", "script")
"""Verbs that do nothing yet."""
_ENDS = {"crash": "restart", "partition": "repair", "hold": "release", "cut": "repair", "fail": "repair"}


@dataclass(frozen=True)
class Act:
    """One use of a verb in a run."""

    at: float | None
    """When, in seconds; None for before anything else."""
    kind: str
    """Whose verb it is: ``"network"``, ``"host"``, ``"link"`` or ``"disk"``."""
    name: str
    """Of that host or link, or of the disk's host."""
    verb: str
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def do(self, network: Network) -> None:
        """Have it done in each run of a network. Raises `UsageError` where there is no such host or link."""
        verb = getattr(self._target(network), self.verb)
        args, options = map(_listed, self.args), dict(self.options)
        if self.at is None:
            verb(*args, **options)
        else:
            network.at(self.at, verb, *args, **options)

    def _target(self, network: Network) -> Any:
        if self.kind == "network":
            return network
        if self.kind == "link":
            return find_link(network, self.name)
        host = network.find(self.name)
        return host.disk if self.kind == "disk" else host

    def code(self) -> str:
        """Return it as a line of Python, in which the network is called ``network``.

        >>> Act(2.5, "host", "shop", "pause", (0.5,)).code()
        'network.at(2.5, network.hosts["shop"].pause, 0.5)'
        >>> Act(None, "link", "hub - shop", "cut").code()
        'find_link(network, "hub - shop").cut()'
        """
        name = _quoted(self.name)
        target = {
            "network": "network",
            "link": f"find_link(network, {name})",
            "host": f"network.hosts[{name}]",
            "disk": f"network.hosts[{name}].disk",
        }[self.kind]
        words = [*map(_written, self.args), *(f"{key}={_written(value)}" for key, value in self.options)]
        if self.at is None:
            return f"{target}.{self.verb}({', '.join(words)})"
        return f"network.at({', '.join([repr(self.at), f'{target}.{self.verb}', *words])})"

    def among(self, hosts: frozenset[str], links: frozenset[str]) -> Act | None:
        """Return what is left of it where there are only some hosts and links; None if that is nothing.

        >>> act = Act(None, "network", "", "partition", (("a", "b"), ("c",)))
        >>> act.among(frozenset("ac"), frozenset()).code(), act.among(frozenset("ab"), frozenset())
        ('network.partition("a", "c")', None)
        """
        if self.kind == "link":
            return self if self.name in links else None
        if self.kind != "network":
            return self if self.name in hosts else None
        sides = tuple(tuple(one for one in side if one in hosts) for side in self.args)
        return replace(self, args=sides) if all(sides) else None

    def __str__(self) -> str:
        if self.kind == "network":
            return f"{self.verb} of {' | '.join(', '.join(side) for side in self.args) or 'all'}"
        words = ", ".join(
            [*map(str, self.args), *(f"{key}={value!r}" for key, value in self.options if value is not None)]
        )
        return f"{self.verb} of {self.kind} {self.name}" + (f" ({words})" if words else "")


@dataclass(frozen=True)
class Fault:
    """Something that went wrong, and how it ended, if it did."""

    begin: Act
    end: Act | None = None

    @property
    def acts(self) -> tuple[Act, ...]:
        """What was done, in order."""
        return (self.begin,) if self.end is None else (self.begin, self.end)

    @property
    def last(self) -> float:
        """When the last of it was, in seconds."""
        pause = self.begin.args[0] if self.begin.verb == "pause" else 0.0
        return max((act.at or 0.0) for act in self.acts) + float(pause)

    def among(self, hosts: frozenset[str], links: frozenset[str]) -> Fault | None:
        """Return what is left of it where there are only some hosts and links; None if that is nothing."""
        begin = self.begin.among(hosts, links)
        end = None if self.end is None else self.end.among(hosts, links)
        return None if begin is None else Fault(begin, end)

    def __str__(self) -> str:
        when = "from the beginning" if self.begin.at is None else f"at {self.begin.at:g} s"
        until = "" if self.end is None else f", until {self.end.at or 0.0:g} s"
        return f"{self.begin} {when}{until}"


def faults_of(acts: Iterable[Act]) -> list[Fault]:
    """Return the faults that acts are, each with its end, in the order of their beginnings.

    >>> crash, restart = (Act(at, "host", "shop", verb) for at, verb in ((2.0, "crash"), (3.0, "restart")))
    >>> [str(fault) for fault in faults_of([restart, crash])]
    ['crash of host shop at 2 s, until 3 s']
    """
    found: list[Fault] = []
    open_ones: dict[tuple[Any, ...], int] = {}
    for act in sorted(acts, key=lambda act: -1.0 if act.at is None else act.at):
        if not act.args and act.kind in ("network", "disk") and act.verb in _ENDS.values():
            several = [key for key in open_ones if key[0] == act.kind and key[1] in (act.name, "")]
            for key in several:  # it ends all of them, and each of them is to have its own end
                number = open_ones.pop(key)
                found[number] = replace(found[number], end=_own_end(found[number].begin, act))
            if several:
                continue
        ended = open_ones.pop(_key(act, act.verb), None)
        if ended is not None:
            found[ended] = replace(found[ended], end=act)
            continue
        begun = _ENDS.get(act.verb, act.verb if act.verb in ("set", "set_clock") else None)
        if begun is not None:
            open_ones[_key(act, begun)] = len(found)
        found.append(Fault(act))
    return found


def _key(act: Act, end: str) -> tuple[Any, ...]:
    """Return what an act and its end have in common."""
    names = tuple(sorted(name for name, value in act.options if value is not None))
    same = act.args if end in ("repair", "release") and act.kind == "network" else ()
    return act.kind, act.name, end, same, names if end in ("set", "set_clock") else ()


def _own_end(begin: Act, end: Act) -> Act:
    """Return the end of one fault, made of that of all."""
    if begin.kind == "network":
        return replace(begin, at=end.at, verb=_ENDS[begin.verb], options=())
    if begin.verb == "set":
        changed = tuple((name, False) for name, value in begin.options if value is True)
        return replace(begin, at=end.at, options=changed)
    return end


class Journal:
    """What comes of each step of a network's script, in one run of it.

    Arguments:
        network: which is to be run, once
    """

    def __init__(self, network: Network) -> None:
        self.acts: list[list[Act]] = [[] for _ in network.script_of_runs]
        """What has come of each step."""
        self.kinds: list[str] = ["call"] * len(self.acts)
        """What the steps are: one of `PLANNING`, ``"verb"``, or ``"call"`` of which nothing is known."""
        self.is_pure = [False] * len(self.acts)
        """Whether a step does nothing but what is in the journal."""
        self.is_whole = [True] * len(self.acts)
        """Whether all that it does is in the journal, and can be written down."""
        self._names = {id(link): name for name, link in named_links(network).items()}
        self._begins = False
        network.script_of_runs[:] = [
            partial(self._begin, number, step) for number, step in enumerate(network.script_of_runs)
        ]

    def describe(self, number: int) -> str:
        """Say what a step is, and what has come of it."""
        done = ", ".join(str(act) for act in self.acts[number][:3]) or "nothing that is known"
        return f"step {number} of the scenario ({self.kinds[number]}): {done}"

    def _begin(self, number: int, step: Callable[[Simulation], None], simulation: Simulation) -> None:
        token = journal.set(partial(self._note, number, simulation))
        self._begins = True
        try:
            step(simulation)
        finally:
            self._begins = False
            journal.reset(token)

    def _note(self, number: int, simulation: Simulation, deed: Deed) -> None:
        if self._begins and self.kinds[number] == "call":
            self.kinds[number] = deed.verb if deed.verb in PLANNING else "verb"
            self.is_pure[number] = deed.verb in ("disturb", *_VERBS) or (
                deed.verb == "at" and isinstance(getattr(deed.args[1], "__self__", None), _TARGETS)
            )
        if deed.verb in PLANNING:
            return
        act = self._act(deed, None if self._begins else simulation.clock.now / 1e9)
        if act is None:
            self.is_whole[number] = False
        else:
            self.acts[number].append(act)

    def _act(self, deed: Deed, at: float | None) -> Act | None:
        """Return a deed as data; None if it cannot be written down."""
        target = deed.target
        if isinstance(target, Network):
            kind, name = "network", ""
        elif isinstance(target, NetworkLink):
            kind, name = "link", self._names.get(id(target), "")
        else:
            kind, name = ("disk" if isinstance(target, HostDisk) else "host"), target.name
        values = [*deed.args, *deed.options.values()]
        if not all(map(can_be_written, values)):
            return None
        args = tuple(tuple(one) if isinstance(one, list) else one for one in deed.args)
        options = tuple((key, value) for key, value in deed.options.items() if not _is_usual(key, value))
        return Act(at, kind, name, deed.verb, args, options)


_TARGETS = (Host, Network, NetworkLink, HostDisk)
_VERBS = ("crash", "restart", "pause", "set_clock", "cut", "repair", "partition", "hold", "release")


def _is_usual(name: str, value: Any) -> bool:
    return (name == "one_way" and value is False) or (name == "direction" and value == "both")


def named_links(network: Network) -> Mapping[str, NetworkLink]:
    """Return the links of a network by their names, ``"server - phone-3"``.

    One that leads one way only is called ``"server > phone-3"``; the second between two hosts has a number.

    >>> network = Network()
    >>> a, b = network.host("a"), network.host("b")
    >>> _ = network.link(a, b), network.link(b, a), network.link(a, b, one_way=True)
    >>> list(named_links(network))
    ['a - b', 'b - a (2)', 'a > b (3)']
    """
    found: dict[str, NetworkLink] = {}
    counts: dict[tuple[str, str], int] = {}
    for link in network.links:
        a, b = link.a.name, link.b.name
        number = counts[a, b] = counts.get((a, b), 0) + 1
        if not link.one_way:
            counts[b, a] = counts.get((b, a), 0) + 1
        name = f"{a} {'>' if link.one_way else '-'} {b}"
        found[f"{name} ({number})" if number > 1 else name] = link
    return found


def find_link(network: Network, name: str) -> NetworkLink:
    """Return the link of a network that has a name, such as ``"server - phone-3"``.

    Raises `UsageError` when there is none.

    >>> network = Network()
    >>> _ = network.link(network.host("server"), network.host("phone"))
    >>> find_link(network, "server - phone")
    <link server - phone>
    """
    links = named_links(network)
    if name not in links:
        raise UsageError(f"there is no link {name!r}; {suggestion(name, links)}")
    return links[name]


def _listed(value: Any) -> Any:
    """Return one host or several, as verbs take them."""
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else list(value)
    return value


def _written(value: Any) -> str:
    value = _listed(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """Return a text as Python has it, in the quotation marks that formatters like.

    >>> print(_quoted("it's"), _quoted('5"'))
    "it's" '5"'
    """
    shown = repr(text)
    return f'"{shown[1:-1]}"' if shown[0] == "'" and '"' not in text else shown
