"""The pages of the reference that tell of parts: one for each room, made from the catalogue.

What `kamaelia describe` says in a terminal these say in a browser, of every part of Kamaelia's own that is
installed. tools/docs_hook.py hands them to mkdocs when it builds; none of it is kept in the repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kamaelia.catalogue import Argument, Group, Part, PartBox, groups
from kamaelia.observe import svg

FOLDER = "reference/parts"
COLUMNS = 80  # of a signature on one line
DEFAULT_SIZE = "100 messages"  # of an inbox; says nothing
MENTION = re.compile(r"(?<!`)`(\w+)`(?!`)")


def pages() -> Iterator[tuple[str, str, str]]:
    """Yield the path, the title and the text of each file: pages in Markdown, pictures without a title."""
    own = [group for group in groups() if group.module.startswith("kamaelia.") and group.parts]
    places = {part.name: group.name for group in own for part in group.parts}
    for group in own:
        for part in group.parts:
            yield f"{FOLDER}/{part.name}.svg", "", picture(part)
        yield f"{FOLDER}/{group.name}.md", f"Parts of {group.name}", page(group, places)


def picture(part: Part) -> str:
    """Return the picture of a part: of its first specimen, with its boxes."""
    return svg(part.specimens()[0].make(), boxes=True)


def page(group: Group, places: dict[str, str]) -> str:
    """Return the page of a room; what it mentions of other parts leads to them."""

    def link(found: re.Match[str]) -> str:
        name = found[1]
        if name not in places:
            return found[0]
        return f"[`{name}`]({places[name]}.md#{name.lower()})"

    lines = [
        f"# Parts of {group.name}",
        "",
        group.summary,
        "",
        f"This page is made from the parts themselves; so is [that of `{group.module}`]"
        f"(../{group.module}.md), which has whatever else they offer. In a terminal: "
        f"`kamaelia list {group.name}`, `kamaelia describe {group.parts[0].name}`.",
        "",
        "| part | what it does |",
        "| --- | --- |",
        *(f"| [{part.name}](#{part.name.lower()}) | {cell(part.summary)} |" for part in group.parts),
        "",
    ]
    for part in group.parts:
        lines += section(part)
    return MENTION.sub(link, "\n".join(lines))


def section(part: Part) -> Iterator[str]:
    """Yield the lines about one part."""
    yield from (f"## {part.name}", "", part.summary, "")
    yield from (f"![{part.name} and its boxes]({part.name}.svg)", "")
    yield from ("```python", f"from {part.module} import {part.name}", "", part.call(COLUMNS), "```", "")
    if part.boxes:
        yield from ("| box | | messages | |", "| --- | --- | --- | --- |")
        yield from map(box_row, part.boxes)
        yield ""
    if part.arguments:
        yield from ("| argument | type | if not given | meaning |", "| --- | --- | --- | --- |")
        yield from map(argument_row, part.arguments)
        yield ""
    # "::" before an indented block is for those who read the source.
    yield from (re.sub(r":(:)$", r"\1", part.text, flags=re.MULTILINE), "")
    words, prompt, session = part.example.partition(">>>")
    yield from (words, "```pycon", prompt + session, "```", "")


def box_row(box: PartBox) -> str:
    """Return the row of a table about a box."""
    notes = [box.size] if box.is_inbox and box.size != DEFAULT_SIZE else []
    notes += ["held"] * box.held + ["optional"] * box.optional
    doc = cell(box.doc) + (f" ({', '.join(notes)})" if notes else "")
    return f"| `{box.name}` | {'in' if box.is_inbox else 'out'} | {code(box.type)} | {doc} |"


def argument_row(argument: Argument) -> str:
    """Return the row of a table about an argument."""
    default = "" if argument.default is None else code(argument.default)
    kind = code(argument.type) if argument.type else ""
    return f"| `{argument.name}` | {kind} | {default} | {cell(argument.meaning)} |"


def code(text: str) -> str:
    """Return code as it may stand in a table, where a line that divides columns has to be escaped."""
    return f"`` {cell(text)} ``" if "`" in text else f"`{cell(text)}`"


def cell(text: str) -> str:
    """Return text as it may stand in a table."""
    return text.replace("|", "\\|")
