"""Applications: verbs that packages bring along, as entry points of the group ``kamaelia.apps``.

The object that such an entry point names is called with the words after the verb and returns the exit code.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from kamaelia.axon.errors import suggestion

from .output import complain

GROUP = "kamaelia.apps"


def installed() -> dict[str, EntryPoint]:
    """Return the applications that are installed, by verb."""
    return {found.name: found for found in entry_points(group=GROUP)}


def start(verb: str, words: list[str]) -> int:
    """Start an application; a verb that there is not is answered with those that are like it."""
    from . import USAGE, VERBS

    apps = installed()
    if verb not in apps:
        hint = suggestion(verb, [*VERBS, *apps])
        complain(f"kamaelia: there is no verb {verb!r}; {hint}\nTry: kamaelia --help")
        return USAGE
    return int(apps[verb].load()(words))
