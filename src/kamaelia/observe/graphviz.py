"""Pictures in the language of Graphviz, for whoever has its ``dot``."""

from __future__ import annotations

from kamaelia.axon import Component

from .parts import MOST, Part, ends_of, look_at

HEAD = """digraph kamaelia {
    rankdir=LR; compound=true; fontname=Helvetica;
    node [shape=box, style="rounded,filled", fillcolor="#fff8e6", color="#e0a100", fontname=Helvetica];
    edge [color="#3b6ea5", fontname=Helvetica, fontsize=10];"""


def graphviz(*components: Component, boxes: bool = False, most: int = MOST) -> str:
    """Return a picture of components in the language of Graphviz: ``dot -Tsvg`` draws it.

    Arguments are those of `svg`. What has parts of its own is a cluster.

    Example:
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.observe import graphviz
        >>> print(graphviz(Source([1]) | Collect()).partition("fontsize=10];")[2])
        <BLANKLINE>
            n1 [label="Source\\n[1]"];
            n2 [label="Collect"];
            n1 -> n2;
        }
    """
    scene = look_at(components, boxes=boxes, most=most)
    lines = [HEAD]
    if scene.note:
        lines.append(f"    label={_quoted(scene.note)};")
    names: dict[Part, str] = {}

    def write(part: Part, indent: str) -> None:
        if part.framed:
            names[part] = f"n{len(names) + 1}"
        label = _quoted("\n".join(word for word in (part.name, part.detail) if word))
        if not part.parts:
            more = ", shape=ellipse" if part.is_box else ", peripheries=2" if part.several else ""
            lines.append(f"{indent}{names[part]} [label={label}{more}];")
            return
        if part.framed:
            # An edge leads from node to node, so a frame has one that is not seen.
            lines.append(f"{indent}subgraph cluster_{names[part]} {{")
            lines.append(f'{indent}    label={label}; style="rounded,filled"; fillcolor="#f3f7fb";')
            lines.append(f'{indent}    {names[part]} [shape=point, style=invis, width=0, label=""];')
        for child in part.parts:
            write(child, indent + "    " * part.framed)
        if part.framed:
            lines.append(f"{indent}}}")

    for part in scene.parts:
        write(part, "    ")
    for source, target, wire in ends_of(scene):
        if source is None:
            continue
        options = [f"label={_quoted(wire.kind)}"] if wire.kind else []
        if source.parts and source not in target.chain:
            options.append(f"ltail=cluster_{names[source]}")
        if target.parts and target not in source.chain:
            options.append(f"lhead=cluster_{names[target]}")
        if wire.feedback:
            options.append("style=dashed, constraint=false")
        text = f" [{', '.join(options)}]" if options else ""
        lines.append(f"    {names[source]} -> {names[target]}{text};")
    lines.append("}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    r"""Return a text as a string of the language.

    >>> print(_quoted('a "b" \\ c'))
    "a \"b\" \\ c"
    """
    for letter, instead in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(letter, instead)
    printable = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return f'"{printable}"'
