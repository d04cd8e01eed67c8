"""Components: what a user writes.

A component is a class with a ``main``, or a function with `component`; its boxes are declared beside it. It
*remembers how it was made*, so that it is also its own pattern: wherever parts are made repeatedly, a
component stands for "another one like this" (`make`).
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    TypeVar,
    cast,
    get_origin,
)

from . import body, core, lifecycle, postman, services
from .box import Box, Declare
from .errors import UsageError, shorten, suggestion
from .inbox import Inbox, ScriptInbox
from .link import Link
from .outbox import Outbox, ScriptOutbox
from .process import Process

if TYPE_CHECKING:
    from types import FrameType
    from typing import TextIO

    from .system import System

P = ParamSpec("P")
C = TypeVar("C", bound="Component")
B = TypeVar("B", bound=Box[Any])


# What asyncio, anyio and Axon call, of whichever component it is: no class may mean something else by it.
_ASKED_OF_TASKS = (
    "run",
    "cancel",
    "cancelling",
    "uncancel",
    "done",
    "add_done_callback",
    "remove_done_callback",
    "get_coro",
)


class _Shown:
    """An attribute that a component offers to read, but whose name a user's class may take for its own.

    (It is no data descriptor, so ``self.path = ...`` in somebody's ``__init__`` just works.)
    """

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self.get = get
        self.__doc__ = get.__doc__

    def __get__(self, component: Any, owner: type) -> Any:
        return self if component is None else self.get(component)


class Component:
    """A part of a concurrent system: it knows its own boxes and nothing else.

    Subclasses declare boxes and write ``main``, whose kind says how it runs: ``async def`` is a coroutine, a
    function with ``yield`` a generator, a plain ``def`` a script in a thread of its own. Every component
    has ``inbox`` and ``outbox``; declarations add to them, ``inbox = None`` takes one away. A component
    without ``main`` is a chassis: it lives as long as the children that it adds.

    Example:
        >>> from kamaelia import Component, Inbox, Outbox, run
        >>> from kamaelia.flow import Collect, Source
        >>> class Double(Component):
        ...     inbox = Inbox[int]("numbers")
        ...     outbox = Outbox[int]("twice the numbers")
        ...
        ...     async def main(self):
        ...         async for number in self.inbox:
        ...             await self.outbox.send(2 * number)
        >>> run(Source([1, 2, 3]) | Double() | Collect())
        [2, 4, 6]
    """

    # Slots, because that is the fastest way to an attribute, and ``self.outbox`` is asked for with every
    # message. A declaration that stood in the class would be in the way: `__init_subclass__` puts it aside.
    __slots__ = ("__dict__", "__weakref__", "_axon", "_recipe", "inbox", "outbox")

    inbox: Any
    outbox: Any

    main: Any = None
    """The body. None for a chassis that has none."""

    _box_declarations: ClassVar[dict[str, Box[Any]]] = {
        "inbox": Inbox("messages for this component"),
        "outbox": Outbox("messages from this component"),
    }
    _boxes_changed: ClassVar[Mapping[str, Box[Any] | None]] = _box_declarations  # by this class, see below
    _axon: Process
    _recipe: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, /, *args: Any, **kwargs: Any) -> Any:
        if cls.__hash__ is None:
            # A dataclass, or another class with an __eq__: asyncio and anyio look tasks up in sets.
            cls.__hash__ = Component.__hash__
        self = super().__new__(cls)
        process = core.Process(self, cls.__name__, cls.main is not None)
        # Past the __setattr__ of a frozen dataclass, which lets nobody assign.
        _set_axon(self, process)
        if args or kwargs:
            # Python itself says so only of classes without a __new__ such as this.
            if cls.__init__ is object.__init__ and cls.__new__ is Component.__new__:
                raise TypeError(f"{cls.__name__}() takes no arguments")
            recipe = (
                tuple([_kept(value) for value in args]),
                {name: _kept(value) for name, value in kwargs.items()},
            )
        else:
            recipe = NO_ARGUMENTS
        _set_recipe(self, recipe)
        process.furnish(cls._box_declarations)
        return self

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in _ASKED_OF_TASKS:
            if getattr(cls, name) is not getattr(Component, name):
                raise UsageError(f"{cls.__name__}.{name}: this name is Axon's; give your method another one")
        # A dataclass with slots is made anew, of what was left of the class when we had put its boxes aside.
        changed: dict[str, Box[Any] | None] = dict(vars(cls).get("_boxes_changed", ()))
        inherited = {name for one in cls.__mro__[1:] for name in _boxes_of(one)}
        for name, value in vars(cls).items():
            if isinstance(value, Box):
                changed[name] = value
            elif isinstance(value, Declare):
                raise UsageError(
                    f"{cls.__name__}.{name} = {value!r} declares no box yet: call it, "
                    f'as in {name} = {value!r}("what it is for")'
                )
            elif name in inherited and value is not vars(Component).get(name):
                changed[name] = None
        cls._boxes_changed = changed
        declarations: dict[str, Box[Any]] = {}
        for one in reversed(cls.__mro__):
            for name, declaration in _boxes_of(one).items():
                if declaration is not None:
                    declarations[name] = declaration
                else:
                    declarations.pop(name, None)
        cls._box_declarations = declarations
        for name in declarations:
            if name in ("inbox", "outbox") and getattr(cls, name) is not vars(Component)[name]:
                setattr(cls, name, vars(Component)[name])
            elif name in vars(cls) and name not in ("inbox", "outbox"):
                delattr(cls, name)
        annotations = vars(cls).get("__annotations__", {})
        for name in annotations:
            if changed.get(name) is not None and get_origin(annotations[name]) is not ClassVar:
                # Declarations belong to the class, also to a dataclass: they are none of its fields.
                annotations[name] = ClassVar[annotations[name]]
        if cls.main is not None:
            if not callable(cls.main):
                raise UsageError(f"{cls.__name__}.main must be a method, not {shorten(cls.main)}")
            body.kind_of(cls.main)

    # -- putting together -------------------------------------------------------------------------

    def __or__(self, other: Any) -> Any:
        from .graph import joined

        return joined(self, other) if _can_be_joined(other) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        from .graph import joined

        return joined(other, self) if _can_be_joined(other) else NotImplemented

    def named(self: C, name: str) -> C:
        """Give the component a name other than its class's, for its path; returns the component."""
        if "/" in name or not name:
            raise UsageError(
                f"named({name!r}): a name is not empty and has no '/', which separates the names of a path"
            )
        self._axon.given_name = name
        return self

    def add(self, pattern: Any, *, name: str | None = None, isolated: bool = False) -> Component:
        """Make another component a child of this one, and start it if this one is running.

        The child takes its first step only when this one is next suspended, so it may be linked first.

        Arguments:
            pattern: a component; or what `make` makes one of
            name: for its path, instead of its class's
            isolated: its failure does not concern its siblings: it is logged, counted and sent to
                ``failures``
        """
        child = pattern if isinstance(pattern, Component) and pattern._axon.state == "new" else make(pattern)
        if child._axon.parent is not None:
            child = make(child)
        if name is not None:
            child.named(name)
        lifecycle.add_child(self._axon, child._axon, isolated=isolated)
        return child

    def link(self, source: Box[Any], target: Box[Any], **options: Any) -> Link:
        """Have the postman link two boxes; options are those of `Link`."""
        return postman.link(source, target, **options)

    def add_box(self, name: str, declaration: B) -> B:
        """Give this component one more box of its own, beside those that its class declares; return it.

        Like those it is an attribute of that name, unless the class has another. A box whose name begins with
        ``_`` is the component's own affair: nobody else is to link it, and no chassis passes it on.

        It is the component's own code that receives or sends there. While the component runs, an inbox that
        is to be linked or held afterwards is declared ``Inbox(..., held=True)``; any other ends at once.

        Example:
            ``ticks = self.add_box("ticks", Inbox[int]("from the clock that we have just added", held=True))``
        """
        process = self._axon
        if name in process.boxes:
            raise UsageError(f"{process.boxes[name]} is there already: give the new box another name")
        box = cast(B, declaration.attached(process, name))  # type: ignore[attr-defined]
        process.add_box(box)
        if getattr(type(self), name, None) is None:
            self.__dict__[name] = box
        if process.system is not None:
            box.prepare(process.system)
        if process.begun:
            box.settle()
        return box

    def child_failed(self, child: Component, error: BaseException) -> None:
        """An isolated child has failed and has been logged. For a chassis that wants to count it."""

    def _tell(self, failure: lifecycle.Failure) -> None:
        """Tell that an isolated child has failed; a chassis that acts on it has more to say."""
        lifecycle.report_isolated(self._axon, failure)

    def _child_over(self, child: Component, failure: Any) -> None:
        """A child has ended, however; for a chassis that fills its place again (`seat`)."""

    def _vacate(self) -> None:
        """A seat on which nobody sits was cancelled (`seat`)."""

    # -- running ----------------------------------------------------------------------------------

    def run(self, **options: Any) -> Coroutine[Any, Any, Any]:
        """Run the component on the event loop that runs already: ``await component.run()``.

        Inside another component this makes it that component's child. Options are those of `kamaelia.run`.
        """
        from .system import run_here

        return run_here(self, options)

    @_Shown
    def system(self) -> System:
        """The system in which the component runs: ``self.system.stop()``."""
        system = self._axon.system
        if system is None:
            raise UsageError(f"{self._axon.name} is not running, so it has no system yet")
        return system

    @_Shown
    def path(self) -> str:
        """Where the component stands: ``radio/server/client-3``."""
        return self._axon.path

    @_Shown
    def chassis(self) -> Component | None:
        """The component that this one is a part of; None for the outermost."""
        parent = self._axon.parent
        return parent.component if parent is not None and parent.name else None

    @_Shown
    def children(self) -> list[Component]:
        """The components in this chassis that have not ended."""
        return [process.component for process in self._axon.children]

    @_Shown
    def boxes(self) -> dict[str, Box[Any]]:
        """The component's boxes by name, but those whose names begin with ``_``: these are its own affair."""
        return offered(self._axon)

    if not TYPE_CHECKING:  # a type checker is to complain about unknown attributes itself

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            if name == "_axon":
                raise UsageError(
                    f"this {type(self).__name__} is no component, as Component.__new__ has not made it: in a "
                    "__new__ of your own, return super().__new__(cls, ...)"
                )
            known = [
                one for one in {*getattr(self, "__dict__", ()), *dir(type(self))} if not one.startswith("_")
            ]
            import difflib  # here, because most programs never need it and it takes a millisecond

            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            raise AttributeError(
                f"{self._axon.path} has no {name!r}: {hint}its boxes are {', '.join(offered(self._axon))}",
                name=name,
                obj=None,  # or Python would add a guess of its own
            )

    def __repr__(self) -> str:
        process = self._axon
        if process.state == "new" and process.parent is None:
            args, kwargs = self._recipe
            shown = [shorten(value, 30) for value in args] + [
                f"{k}={shorten(v, 30)}" for k, v in kwargs.items()
            ]
            return f"{process.name}({', '.join(shown)})"
        return f"<{process.path}: {process.outcome or process.state}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows: a picture of what is in it."""
        return services.notebook_form(self)

    def __reduce__(self) -> Any:
        """Pickle the component as its recipe (rule 15): what comes of it is another one like it."""
        args, kwargs = self._recipe
        # The class of a function component is nobody's to find: the function makes another.
        function = vars(type(self)).get("_function")
        maker = function if isinstance(function, ComponentFunction) else type(self)
        name = self._axon.given_name
        return _made_again, (maker, args, kwargs, None if name == type(self).__name__ else name)

    # -- to asyncio, a component is a task -----------------------------------------------------------
    # `asyncio.timeout`, TaskGroup, anyio and others look the running component up as the current task
    # and use what follows.

    def cancel(self, msg: object = None) -> bool:
        """Raise `Cancelled` where the component waits."""
        return self._axon.cancel(msg)

    def cancelling(self) -> int:
        """Return how many cancellations have been asked for and not been taken back."""
        return self._axon.cancels

    def uncancel(self) -> int:
        """Take one request to cancel back (asyncio's time-outs do)."""
        process = self._axon
        if process.cancels > 0:
            process.cancels -= 1
            if process.cancels == 0:
                process.must_cancel = False
        return process.cancels

    def done(self) -> bool:
        """Say whether the component has ended."""
        return self._axon.state == "ended"

    def cancelled(self) -> bool:
        """Say whether the component was cancelled."""
        return self._axon.state == "ended" and self._axon.outcome in ("stopped", "cancelled")

    # Some of these names may be taken by a user's class: so none of these methods asks another of them.

    def result(self) -> Any:
        """Return what ``main`` returned, or raise what it raised; before that,
        `asyncio.InvalidStateError`."""
        error = Component.exception(self)
        if error is not None:
            raise error
        return self._axon.result

    def exception(self) -> BaseException | None:
        """Return what the component failed with, if it did; raise `Cancelled` if it was cancelled."""
        if self._axon.state != "ended":
            raise asyncio.InvalidStateError(f"{self._axon.path} has not ended")
        if Component.cancelled(self):
            raise asyncio.CancelledError(f"{self._axon.path} was cancelled")
        return self._axon.cause if self._axon.outcome in ("failed", "broken") else None

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: contextvars.Context | None = None
    ) -> None:
        """Have something called when the component has ended; soon, if it has already."""
        context = context or contextvars.copy_context()
        if self._axon.state == "ended":
            Component.get_loop(self).call_soon(callback, self, context=context)
        else:
            self._axon.callbacks = (*self._axon.callbacks, (callback, context))

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Take callbacks away again; return how many."""
        before = len(self._axon.callbacks)
        self._axon.callbacks = tuple(pair for pair in self._axon.callbacks if pair[0] != callback)
        return before - len(self._axon.callbacks)

    def get_coro(self) -> Coroutine[Any, Any, Any] | None:
        """Return the coroutine that runs."""
        return self._axon.coroutine

    def get_context(self) -> contextvars.Context | None:
        """Return the context in which the component runs."""
        return self._axon.context

    def get_name(self) -> str:
        """Return the path, or what `set_name` was given."""
        return self._axon.task_name or self._axon.path

    def set_name(self, value: object) -> None:
        """Change what `get_name` returns, and nothing else: the name in the path is given by `named`."""
        self._axon.task_name = str(value)

    def get_stack(self, *, limit: int | None = None) -> list[FrameType]:
        """Return the frames in which the component waits, the outermost first; none when it has ended."""
        frames = list(body.frames_of(self._axon.coroutine))
        return frames if limit is None else frames[-limit:] if limit > 0 else []

    def print_stack(self, *, limit: int | None = None, file: TextIO | None = None) -> None:
        """Print where the component waits."""
        import traceback

        lines = traceback.StackSummary.extract(
            (frame, frame.f_lineno) for frame in Component.get_stack(self, limit=limit)
        )
        print(f"Stack for {self!r} (most recent call last):", file=file or sys.stderr)
        print("".join(lines.format()), file=file or sys.stderr, end="")

    def set_result(self, result: Any) -> NoReturn:
        """Refuse, as tasks do."""
        raise RuntimeError("a component's result is what its main returns")

    def set_exception(self, exception: object) -> NoReturn:
        """Refuse, as tasks do."""
        raise RuntimeError("a component fails by what its main raises")

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop on which the component runs."""
        scheduler = self._axon.scheduler
        if scheduler is None:
            raise UsageError(f"{self._axon.name} is not running, so it has no loop yet")
        return scheduler.loop

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:  # anyio's worker threads ask for it
        return Component.get_loop(self)

    @property
    def _must_cancel(self) -> bool:
        return self._axon.must_cancel

    @property
    def _fut_waiter(self) -> Any:
        return self._axon.future


NO_ARGUMENTS: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})  # the recipe of many
_set_axon = vars(Component)["_axon"].__set__
_set_recipe = vars(Component)["_recipe"].__set__


def _boxes_of(one: type) -> Mapping[str, Box[Any] | None]:
    """Return what a class, which may be none of components, says of boxes: None where it takes one away."""
    if issubclass(one, Component):
        return one._boxes_changed
    return {name: value for name, value in vars(one).items() if isinstance(value, Box)}


# -- patterns ---------------------------------------------------------------------------------------


def make(pattern: Any) -> Component:
    """Make a component of a class, a factory, or another component, which is made again from its recipe.

    Components among the arguments of the recipe, also inside lists, tuples, dicts and links, are made again
    too, each once however often it is named. Other arguments are shared.

    >>> from kamaelia.protocol import Echo
    >>> pattern = Echo()
    >>> make(pattern) is pattern, type(make(Echo)) is type(make(pattern))
    (False, True)
    """
    if isinstance(pattern, Component):
        return _remake(pattern, {})
    if isinstance(pattern, ComponentFunction) or (
        isinstance(pattern, type) and issubclass(pattern, Component)
    ):
        return cast(Component, pattern())
    if callable(pattern):
        refuse_bare_body(pattern)
        made = pattern()
        if isinstance(made, Component):
            return made
        raise UsageError(f"{shorten(pattern)} was to make a component, but returned {shorten(made)}")
    raise UsageError(
        f"{shorten(pattern)} is no component: give a component such as Echo(), a component class, "
        "or a function that returns a component"
    )


def offered(process: Process) -> dict[str, Box[Any]]:
    """Return the boxes of a component that others may link, by name."""
    return {name: box for name, box in process.boxes.items() if not name.startswith("_")}


def refuse_bare_body(function: Any) -> None:
    """Raise for a function that looks like the body of a component."""
    code = getattr(function, "__code__", None)
    if code is not None and code.co_argcount and code.co_varnames[0] in ("inbox", "outbox"):
        name = function.__name__
        raise UsageError(f"{name} is a mere function: write @component above 'def {name}', and it is one")


def _is_pattern(value: Any) -> bool:
    return isinstance(value, (Component, ComponentFunction)) or (
        isinstance(value, type) and issubclass(value, Component)
    )


def _can_be_joined(value: Any) -> bool:
    """Say whether ``|`` may be asked to join this; functions and lists get an error that says how."""
    return _is_pattern(value) or callable(value) or isinstance(value, (list, tuple, str, bytes))


def as_part(pattern: Any) -> Component:
    """Return a component as it is; of a class or `component` function, make one without arguments."""
    if isinstance(pattern, Component):
        return pattern
    if _is_pattern(pattern):
        return pattern()  # type: ignore[no-any-return]
    refuse_bare_body(pattern)
    import types

    if isinstance(pattern, types.UnionType):
        names = [getattr(one, "__name__", str(one)) for one in pattern.__args__]
        calls = " | ".join(f"{name}()" for name in names)
        raise UsageError(
            f"{' | '.join(names)} joins two classes into a type: write parentheses, as in {calls}"
        )
    raise UsageError(
        f"{shorten(pattern)} is no component. A chassis is made of components: Map(function) of a function, "
        "Source(items) of a list"
    )


def _remake(component: Component, made: dict[int, Component]) -> Component:
    if id(component) in made:
        return made[id(component)]
    args, kwargs = component._recipe
    new_args = tuple(_remake_within(value, made) for value in args)
    new_kwargs = {name: _remake_within(value, made) for name, value in kwargs.items()}
    new: Component = type(component)(*new_args, **new_kwargs)
    new._axon.given_name = component._axon.given_name
    made[id(component)] = new
    return new


def _made_again(
    maker: Callable[..., Component], args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None
) -> Component:
    """Make a component of its recipe, as it was pickled."""
    made = maker(*args, **kwargs)
    if name is not None:
        made._axon.given_name = name
    return made


def _kept(value: Any) -> Any:
    """Return an argument as the recipe keeps it: a list of components as it is now, not as it may become."""
    kind = type(value)
    if kind not in (list, tuple, dict) or not _names_components(value, 3):
        return value
    return {key: _kept(one) for key, one in value.items()} if kind is dict else kind(map(_kept, value))


def _names_components(items: Any, depth: int) -> bool:
    """Say whether components are in an argument. A list of them has one among its first ten: others may be
    long, and are shared."""
    for one in itertools.islice(items.items() if type(items) is dict else items, 10):
        kind = type(one)
        if kind in (int, str, bytes, float):
            continue
        if kind in (list, tuple, dict):
            if depth > 1 and _names_components(one, depth - 1):
                return True
        elif isinstance(one, (Component, Box, Link)):
            return True
    return False


def _remake_within(value: Any, made: dict[int, Component]) -> Any:
    if isinstance(value, Component):
        return _remake(value, made)
    if isinstance(value, Link):
        return Link(
            _remake_within(value.source, made),
            _remake_within(value.target, made),
            when_full=value.when_full,
            feedback=value.feedback,
        )
    if isinstance(value, Box):
        if value.owner is None:
            return value
        return _remake(value.owner.component, made)._axon.boxes[value.name]
    if type(value) in (list, tuple):
        items = [_remake_within(one, made) for one in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            return type(value)(items)
    elif type(value) is dict:
        pairs = [(_remake_within(key, made), _remake_within(one, made)) for key, one in value.items()]
        if any(
            new[0] is not old[0] or new[1] is not old[1]
            for new, old in zip(pairs, value.items(), strict=True)
        ):
            return dict(pairs)
    return value  # shared: nothing in it is remade


# -- functions as components ------------------------------------------------------------------------


class ComponentFunction(Generic[P]):
    """What `component` makes of a function: call it with the arguments after the boxes to get a component."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        boxes, self.signature = _split_signature(function)
        namespace: dict[str, Any] = {
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
            "__init__": _keep_arguments,
            "main": _main_of(function, list(boxes)),
            "_function": self,
            **{name: boxes.get(name) for name in ("inbox", "outbox")},
            **boxes,
        }
        self.component_class = type(function.__name__, (Component,), namespace)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Component:
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"{self.__name__}{self.signature} (the boxes are given to it by Axon): {error}"
            ) from None
        return cast(Component, self.component_class(*args, **kwargs))

    def __reduce__(self) -> str:
        """Pickle it by its name, as functions are."""
        return self.__qualname__

    def __or__(self, other: Any) -> Any:
        return self() | other  # type: ignore[call-arg]

    def __ror__(self, other: Any) -> Any:
        return other | self()  # type: ignore[call-arg]

    def __repr__(self) -> str:
        return f"<component {self.__name__}>"


def _keep_arguments(self: Any, *args: Any, **kwargs: Any) -> None:
    self._arguments = (args, kwargs) if args or kwargs else NO_ARGUMENTS


def _main_of(function: Callable[..., Any], box_names: list[str]) -> Callable[[Any], Any]:
    def main(self: Any) -> Any:
        args, kwargs = self._arguments
        return function(*[getattr(self, name) for name in box_names], *args, **kwargs)

    main.calls = function  # type: ignore[attr-defined]  # whose kind of body it is, see `body.kind_of`
    body.kind_of(function)
    return main


def _split_signature(function: Callable[..., Any]) -> tuple[dict[str, Box[Any]], inspect.Signature]:
    """Tell a function's box parameters, which come first, from its arguments."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that only type checkers can look up
        signature = inspect.signature(function)
    boxes: dict[str, Box[Any]] = {}
    rest: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        box = _box_of(parameter)
        if box is None or parameter.kind is parameter.KEYWORD_ONLY:
            rest.append(parameter)
        elif rest:
            raise UsageError(
                f"{function.__name__}(): the box parameter {parameter.name!r} comes after {rest[0].name!r}: "
                "boxes come first"
            )
        else:
            boxes[parameter.name] = box
    if not boxes:
        given = list(signature.parameters)
        raise UsageError(
            f"{function.__name__}() has no box parameters, so it could neither receive nor send: "
            f"write def {function.__name__}(inbox, outbox, ...)"
            + (f"; {suggestion(given[0], ['inbox', 'outbox'])}" if given else "")
        )
    return boxes, signature.replace(parameters=rest, return_annotation=inspect.Signature.empty)


def _box_of(parameter: inspect.Parameter) -> Box[Any] | None:
    kind = parameter.annotation
    name = parameter.name
    if isinstance(kind, Declare):
        return kind(f"{name} of the function")  # type: ignore[no-any-return]
    if kind in (Inbox, ScriptInbox):
        return Inbox(f"{name} of the function")
    if kind in (Outbox, ScriptOutbox):
        return Outbox(f"{name} of the function")
    if isinstance(kind, str):
        plain = kind.partition("[")[0].rpartition(".")[2]
        if plain in ("Inbox", "ScriptInbox"):
            return Inbox(f"{name} of the function")
        if plain in ("Outbox", "ScriptOutbox"):
            return Outbox(f"{name} of the function")
    if kind is inspect.Parameter.empty or kind is Any:
        if name == "inbox":
            return Inbox(f"{name} of the function")
        if name == "outbox":
            return Outbox(f"{name} of the function")
    return None


def component(function: Callable[Concatenate[Any, Any, P], Any]) -> ComponentFunction[P]:
    """Make a component of a function whose first parameters are boxes.

    Parameters called ``inbox`` and ``outbox``, or annotated with ``Inbox[...]``, ``Outbox[...]``,
    ``ScriptInbox[...]`` or ``ScriptOutbox[...]``, are the boxes; the rest are arguments of the component.

    Example:
        >>> from kamaelia import component, run
        >>> from kamaelia.flow import Collect, Source
        >>> @component
        ... def times(inbox, outbox, factor=2):
        ...     while True:
        ...         number = yield inbox.receive()
        ...         yield outbox.send(factor * number)
        >>> run(Source([1, 2]) | times(factor=3) | Collect())
        [3, 6]
    """
    if isinstance(function, type):
        raise UsageError(
            f"@component is for functions; {function.__name__} is a class: derive it from Component"
        )
    if not callable(function):
        raise UsageError(f"@component is for functions, and {shorten(function)} is none")
    return ComponentFunction(function)


__all__ = ["Component", "ComponentFunction", "as_part", "component", "make", "offered"]
