"""The screen of ``kamaelia top``, with textual: the extra ``tui``.

Only what is to be seen is drawn: the table is a window on lines that are worked out from `top_table`, so that
thousands of components take no longer than those that fit on the screen. What the system says is shown as it
is, never as marks for colours or codes for the terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Footer, Input, OptionList, RichLog, Static
from textual.widgets.option_list import Option

from kamaelia.observe.inspection import AsyncInspector, InspectionError
from kamaelia.observe.inspection.mirror import Mirror, Part

from .top_table import COLUMNS, NOTES, ORDERS, Row, Table, clean, headline, verdict

PLAIN = Style()
TITLE = Style(bold=True, reverse=True)
GUILTY = Style(bold=True, color="white", bgcolor="red")
CHOSEN = Style(reverse=True)
FAINT = Style(dim=True)
BLOCKED = Style(color="yellow")
BUSY = Style(color="cyan")
SHOWN = 500  # messages of a tap that are kept to be seen
ENDED = "the system has ended"
AGAIN = 1.0  # seconds between two attempts to reach a system that has let go, and two looks at a component


class TableView(ScrollView, can_focus=True):
    """The table: one line for each component, and a cursor on one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("left", "fold", show=False),
        Binding("right", "unfold", show=False),
    ]

    class Chosen(Message):
        """The cursor is on another component."""

    def __init__(self, table: Table) -> None:
        super().__init__(id="table")
        self.table = table
        self.rows: list[Row] = []
        self.guilty: int | None = None
        self.is_untouched = True
        """Whether nobody has moved the cursor: then it goes to who holds up the others."""
        self._chosen: int | None = None  # the number of the component that the cursor is on
        self._name_width = 20

    @property
    def chosen(self) -> Part | None:
        """The component that the cursor is on."""
        index = self._index()
        return None if index is None else self.rows[index].part

    def _index(self) -> int | None:
        for index, row in enumerate(self.rows):
            if row.part.n == self._chosen:
                return index
        return None

    def renew(self) -> None:
        """Work the lines out again, and draw those that are to be seen."""
        before = self._index()
        self.rows = self.table.rows()
        self.guilty = self.table.guilty(self.rows)
        if self.rows and self._index() is None:  # what was chosen has gone: its neighbour is
            self._chosen = self.rows[min(before or 0, len(self.rows) - 1)].part.n
            self.post_message(self.Chosen())
        names = [len(self.table.name(row)) for row in self.rows]
        between = sum(column.width + 1 for column in COLUMNS)
        width = self.scrollable_content_region.width
        self._name_width = max(12, min(max(names, default=0) + 2, width - between - 12))
        self.virtual_size = Size(width, len(self.rows) + 1)
        if self.is_untouched and self.guilty is not None:
            self.is_untouched = False
            self.choose(self.guilty)
        self.refresh()

    def choose(self, index: int) -> None:
        """Put the cursor on a line, and have that be seen."""
        if not self.rows:
            return
        index = max(0, min(index, len(self.rows) - 1))
        if self.rows[index].part.n != self._chosen:
            self._chosen = self.rows[index].part.n
            self.post_message(self.Chosen())
        room = max(1, self.size.height - 1)  # the first line is the titles'
        top = self.scroll_offset.y
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + room:
            self.scroll_to(y=index - room + 1, animate=False)
        self.refresh()

    def move(self, lines: int) -> None:
        """Move the cursor."""
        self.is_untouched = self.is_untouched and not lines
        self.choose((self._index() or 0) + lines)

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        self.move(lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what fits on the screen."""
        self.move(pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        """Move the cursor to the first line."""
        self.move(-len(self.rows))

    def action_last(self) -> None:
        """Move the cursor to the last line."""
        self.move(len(self.rows))

    def action_fold(self) -> None:
        """Fold the chosen component, or go to the one that it is in."""
        part = self.chosen
        if part is None or self.table.order != "tree":
            return
        if part.children and part.path not in self.table.folded:
            self.table.folded.add(part.path)
            self.renew()
            return
        for index, row in enumerate(self.rows):
            if row.part.n == part.parent:
                self.choose(index)

    def action_unfold(self) -> None:
        """Unfold the chosen component."""
        part = self.chosen
        if part is not None:
            self.table.folded.discard(part.path)
            self.renew()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the window."""
        width = self.scrollable_content_region.width
        if y == 0:
            cells = {column.name: column.title for column in COLUMNS}
            return self._line("COMPONENT", cells, NOTES, TITLE, {}, width)
        index = self.scroll_offset.y + y - 1
        if index >= len(self.rows):
            return Strip.blank(width)
        row = self.rows[index]
        part = row.part
        cells = self.table.cells(row)
        style = PLAIN
        styles = {"queue": BLOCKED if part.fill >= 0.8 else PLAIN}
        styles["doing"] = BLOCKED if part.state == "sending" else BUSY if part.state == "running" else PLAIN
        styles["blocked"] = BLOCKED if part.blocked >= 0.5 else PLAIN
        styles["run"] = BUSY if part.running >= 0.5 else PLAIN
        mark = " "
        if index == self.guilty:
            style, styles, mark = GUILTY, {}, "!"
        if part.n == self._chosen:
            style, styles = style + CHOSEN, {}
        return self._line(mark + self.table.name(row), cells, self.table.notes(part), style, styles, width)

    def _line(
        self,
        name: str,
        cells: Mapping[str, str],
        notes: str,
        style: Style,
        styles: Mapping[str, Style],
        width: int,
    ) -> Strip:
        if len(name) > self._name_width:
            name = (
                "..." + name[3 - self._name_width :]
                if self.table.order != "tree"
                else name[: self._name_width]
            )
        pieces = [Segment(name.ljust(self._name_width), style)]
        for column in COLUMNS:
            text = cells[column.name][: column.width]
            text = text.rjust(column.width) if column.right else text.ljust(column.width)
            pieces += [Segment(" ", style), Segment(text, style + styles.get(column.name, PLAIN))]
        pieces.append(Segment(f"  {notes}", style))
        return Strip(pieces).adjust_cell_length(width, style)

    def on_click(self, event: events.Click) -> None:
        """A click chooses a line, or the column to sort by."""
        if event.y == 0:
            at = self._name_width
            name = "tree"
            for column in COLUMNS:
                at += column.width + 1
                if event.x < at and event.x >= at - column.width:
                    name = column.name
            self.table.order = name if name in ORDERS else "tree"
            self.renew()
            return
        self.is_untouched = False
        self.choose(self.scroll_offset.y + event.y - 1)

    def on_resize(self) -> None:
        """The window is of another size: what is chosen is still to be seen."""
        self.renew()
        self.move(0)


class WhichBox(ModalScreen[str | None]):
    """Asks which of several boxes is meant."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Leave it")]

    def __init__(self, part: Part) -> None:
        super().__init__()
        self._part = part

    def compose(self) -> ComposeResult:
        """See textual."""
        options = [
            Option(Text(f"{clean(name)}   {direction}, {clean(kind)}"), id=str(index))
            for index, (name, direction, kind, _) in enumerate(self._part.boxes)
        ]
        yield OptionList(*options)

    def on_mount(self) -> None:
        """See textual."""
        choice = self.query_one(OptionList)
        choice.border_title = Text(f"The messages of which box of {clean(self._part.path)}?")
        choice.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A box has been chosen."""
        self.dismiss(str(self._part.boxes[int(event.option.id or 0)][0]))


class Top(App[None]):
    """The live table of one system.

    Arguments:
        path: of its socket
        greeting: what it has said about itself
        every: seconds between two pictures
        which: what each request says besides: ``system``, where there are several
    """

    TITLE = "kamaelia top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #head { height: 1; background: $panel; color: $text; text-style: bold; }
    #verdict { height: auto; max-height: 4; padding: 0 1; }
    #verdict.held-up { background: $error; color: $text; text-style: bold; }
    #verdict.over { background: $warning; color: $text; }
    #table { height: 1fr; overflow-x: hidden; overflow-y: scroll; }
    #below { height: 40%; border-top: solid $primary; display: none; }
    #below.shown { display: block; }
    #filter { display: none; height: 3; }
    #filter.shown { display: block; }
    WhichBox { align: center middle; }
    WhichBox OptionList { width: 70%; max-height: 60%; border: solid $primary; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "details", "Details"),
        Binding("t", "tap", "Tap"),
        Binding("g", "guilty", "Culprit"),
        Binding("s", "sort", "Sort"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("space", "freeze", "Freeze"),
        Binding("f", "fold_all", "Fold"),
        Binding("escape", "leave", "Close", show=False),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(
        self, path: str, greeting: Mapping[str, Any], every: float, which: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.path = path
        self.which = which or {}
        self.greeting = greeting
        self.every = every
        self.table = Table(Mirror())
        self.frozen = False
        self.over: str | None = None
        self._inspector: AsyncInspector | None = None
        self._below: str | None = None  # what is shown below the table: "details" or "tap"
        self._thawed = asyncio.Event()
        self._thawed.set()

    def compose(self) -> ComposeResult:
        """See textual."""
        yield Static(id="head", markup=False)
        yield Static(id="verdict", markup=False)
        yield TableView(self.table)
        yield RichLog(id="below", max_lines=SHOWN, wrap=True, markup=False, highlight=False)
        yield Input(id="filter", placeholder="part of a path, or what it does, such as blocked")
        yield Footer()

    @property
    def view(self) -> TableView:
        """The table on the screen."""
        return self.query_one(TableView)

    @property
    def below(self) -> RichLog:
        """What is below it."""
        return self.query_one("#below", RichLog)

    def on_mount(self) -> None:
        """See textual."""
        self.view.focus()
        self._say()
        self.follow_system()

    async def on_unmount(self) -> None:
        """See textual."""
        if self._inspector is not None:
            await self._inspector.aclose()

    # -- watching ---------------------------------------------------------------------------------------

    @work(exclusive=True, group="watch")
    async def follow_system(self) -> None:
        """Watch the system, and come back to it if it has only let go."""
        while True:
            try:
                inspector = AsyncInspector(self.path)
                await inspector.open()
                async with inspector:
                    self._inspector, self.over = inspector, None
                    while True:
                        await self._thawed.wait()
                        await self._follow(inspector)
            except (InspectionError, OSError) as error:
                text = str(error)
                self._inspector, self.over = None, ENDED if "has ended" in text else text
            self._say()
            await asyncio.sleep(AGAIN)
            while not self._is_there():
                self.over = ENDED
                self._say()
                await asyncio.sleep(AGAIN)

    def _is_there(self) -> bool:
        return os.path.exists(self.path)

    async def _follow(self, inspector: AsyncInspector) -> None:
        async with aclosing(inspector.stream("watch", every=self.every, **self.which)) as frames:
            async for frame in frames:
                if self.frozen:
                    return
                self.table.mirror.apply(frame)
                self.view.renew()
                self._say()
        raise InspectionError(ENDED)

    def _say(self) -> None:
        """Write the lines above the table."""
        mirror = self.table.mirror
        marks = ["OVER"] if self.over else ["FROZEN"] if self.frozen else []
        if self.table.order != "tree":
            marks.append(f"sorted by {self.table.order}")
        if self.table.filter:
            marks.append(f"only {clean(self.table.filter)}")
        said = "".join(f"[{mark}] " for mark in marks) + headline(self.greeting, mirror)
        self.query_one("#head", Static).update(Text(said))
        is_held_up, sentence = verdict(mirror)
        line = self.query_one("#verdict", Static)
        line.set_class(self.over is not None, "over")
        line.set_class(is_held_up and self.over is None, "held-up")
        if self.over is not None:
            sentence = f"{clean(self.over)}. What you see is the last that it has said; q quits"
        line.update(Text(f"! {sentence}" if is_held_up and self.over is None else sentence))

    # -- keys -------------------------------------------------------------------------------------------

    def action_guilty(self) -> None:
        """Go to the component that holds up the others."""
        view = self.view
        if view.guilty is None:
            self.table.filter, self.table.order = "", "tree"
            view.renew()
        if view.guilty is None:
            self.notify("Nobody holds up anybody.")
            return
        part = view.rows[view.guilty].part
        while view.rows[view.guilty].sign == "+" and part.path in self.table.folded:
            self.table.folded.discard(part.path)
            view.renew()
            part = view.rows[view.guilty].part
        view.choose(view.guilty)

    def action_fold_all(self) -> None:
        """Fold all components, or unfold all if some are folded."""
        if self.table.folded:
            self.table.folded.clear()
        else:
            self.table.folded |= {part.path for part in self.table.mirror.parts.values() if part.children}
        self.view.renew()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.table.order = ORDERS[(ORDERS.index(self.table.order) + 1) % len(ORDERS)]
        self.view.renew()
        self.view.move(-len(self.view.rows))
        self._say()

    def action_freeze(self) -> None:
        """Freeze the picture, or go on."""
        self.frozen = not self.frozen
        if self.frozen:
            self._thawed.clear()
        else:
            self._thawed.set()
        self._say()

    def action_filter(self) -> None:
        """Ask which components are to be seen."""
        line = self.query_one("#filter", Input)
        line.add_class("shown")
        line.value = self.table.filter
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The filter is being typed."""
        self.table.filter = event.value.strip()
        self.view.renew()
        self._say()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The filter has been typed."""
        self.query_one("#filter", Input).remove_class("shown")
        self.view.focus()

    def action_leave(self) -> None:
        """Close what is open: the filter, or what is below the table."""
        line = self.query_one("#filter", Input)
        if line.has_class("shown") or self.table.filter:
            line.value = ""
            line.remove_class("shown")
            self.table.filter = ""
            self.view.focus()
            self.view.renew()
            self._say()
        else:
            self._close_below()

    # -- below the table ------------------------------------------------------------------------------------

    def _open_below(self, what: str, title: str) -> None:
        self._below = what
        self.below.clear()
        self.below.add_class("shown")
        self.below.border_title = Text(clean(title))

    def _close_below(self) -> None:
        self._below = None
        self.workers.cancel_group(self, "below")
        self.below.remove_class("shown")

    def action_details(self) -> None:
        """Show all about the chosen component, or no more."""
        if self._below == "details":
            self._close_below()
        elif self.view.chosen is not None:
            self._show_details()

    def on_table_view_chosen(self) -> None:
        """The cursor is on another component."""
        if self._below == "details":
            self._show_details()

    def _show_details(self) -> None:
        part = self.view.chosen
        if part is not None:
            self._open_below("details", part.path)
            self.follow_details(part.path)

    @work(exclusive=True, group="below")
    async def follow_details(self, path: str) -> None:
        """Show all about a component, again and again."""
        before: list[Text] = []
        while self._inspector is not None:
            try:
                lines = list(_about(await self._inspector.ask("details", path=path, **self.which)))
            except InspectionError as error:
                lines = [Text(clean(str(error)))]
            if lines != before and not self.frozen:
                at = self.below.scroll_offset.y
                self.below.clear()
                for line in lines:
                    self.below.write(line, scroll_end=False)
                self.below.scroll_to(y=at, animate=False)
                before = lines
            await asyncio.sleep(AGAIN)

    @work(exclusive=True, group="asks")
    async def action_tap(self) -> None:
        """Show the messages of one of the chosen component's boxes, or no more."""
        if self._below == "tap":
            self._close_below()
            return
        part = self.view.chosen
        if part is None or self._inspector is None or not part.boxes:
            return
        box = str(part.boxes[0][0])
        if len(part.boxes) > 1:
            answer = await self.push_screen_wait(WhichBox(part))
            if answer is None:
                return
            box = answer
        at = f"{part.path}.{box}"
        self._open_below("tap", f"messages of {at} (t closes this)")
        self.follow_tap(at)

    @work(exclusive=True, group="below")
    async def follow_tap(self, at: str) -> None:
        """Show the messages that wait behind a box, and then those that pass it."""
        if self._inspector is None:
            return
        try:
            waiting = await self._inspector.ask("waiting", at=at, last=8, most=1000, **self.which)
            for text in _waiting(waiting):
                self.below.write(text)
            stream = self._inspector.stream("tap", at=at, most=1000, rate=20, **self.which)
            async with aclosing(stream) as lines:
                async for line in lines:
                    if not self.frozen:
                        self.below.write(_message(line))
            self.below.write(Text("nothing more will pass here", style=FAINT))
        except InspectionError as error:
            self.below.write(Text(clean(str(error)), style="bold red"))


def _message(line: Mapping[str, Any]) -> Text:
    """Return a message that has passed as it stands on the screen."""
    text = Text()
    if line["left_out"]:
        text.append(f"... {line['left_out']} more\n", FAINT)
    text.append(f"{line['time']:.3f} ", FAINT)
    return text.append_text(_shown(line["message"]))


def _waiting(found: Mapping[str, Any]) -> list[Text]:
    """Return the messages that wait in a queue, the next to be received first, as lines of the screen."""
    if not found["waiting"]:
        return []
    count, shown = found["waiting"], len(found["messages"])
    some = "" if shown == count else ", of which the newest are"
    begin = Text(f"{count} wait in {clean(found['box'])}{some}:", style="bold")
    lines = [Text("waiting ", style="yellow").append_text(_shown(one)) for one in found["messages"]]
    return [begin, *lines, Text("what passes from now on:", style="bold")]


def _shown(shown: Mapping[str, Any]) -> Text:
    text = Text()
    size = "" if shown["size"] is None else f" of {shown['size']}"
    text.append(f"{clean(shown['type'].removeprefix('builtins.'))}{size} ", "cyan")
    if shown["kind"] == "picture":
        text.append(f"a picture ({shown['media_type']})")
    elif shown["kind"] == "samples":
        channels = len(json.loads(shown["text"]))
        text.append(f"samples, {channels} channel{'s' * (channels != 1)}")
    else:
        text.append(clean(shown["text"]) + ("..." if shown["cut"] else ""))
    return text


def _about(details: Mapping[str, Any]) -> list[Text]:
    """Return what is known about a component, as lines."""
    component = details["component"]
    lines = [
        Text.assemble((clean(details["path"]), "bold"), f"  {clean(details['type'])}, {component['body']}")
    ]
    if details["doc"]:
        lines.append(Text(clean(details["doc"].partition("\n\n")[0])))
    if details["arguments"]:
        given = ", ".join(f"{name}={value}" for name, value in details["arguments"].items())
        lines.append(Text.assemble(("made with   ", FAINT), clean(given)))
    if details["where"]:
        lines.append(Text.assemble(("it is at    ", FAINT), (clean(details["where"]), "bold")))
    if details["file"]:
        place = details["file"] + (f":{details['line']}" if details["line"] else "")
        lines.append(Text.assemble(("written in  ", FAINT), clean(place)))
    ran = "" if component["running"] is None else f"ran {component['running']:.1f} s, "
    blocked_on = f", most on {component['blocked_on']}" if component["blocked_on"] else ""
    lines.append(
        Text.assemble(
            ("so far      ", FAINT),
            f"{component['steps']} steps, {ran}blocked {component['blocked'] or 0:.1f} s"
            f"{clean(blocked_on)}, {component['restarts']} restarts, {component['failures']} failures",
        )
    )
    for box in details["boxes"]:
        queue = f", {box['waiting']} of {box['size']} {box['unit']} waiting (peak {box['peak']})"
        rest = f"{box['passed']} passed{queue if box['direction'] == 'in' else ''}"
        for what in ("dropped", "discarded"):
            rest += f", {box[what]} {what}" if box[what] else ""
        state = "" if box["state"] == "open" else f", {box['state']}"
        lines.append(
            Text.assemble(
                (f"{clean(box['name']):<12}", "cyan"),
                f"{box['direction']} {clean(box['type'])}{state}: {rest}",
            )
        )
    for _, time, what, _, detail in details["events"][-5:]:
        ago = f"{details['time'] - time:.0f} s ago"
        lines.append(Text.assemble((f"{ago:<12}", FAINT), clean(f"{what} {detail}")))
    for one in details["log"][-10:]:
        lines.append(Text.assemble((f"{one['level']:<12}", "yellow"), clean(one["text"])))
    return lines
