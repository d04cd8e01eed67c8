"""Functions that go to other processes and machines: by where they stand, and if need be as their code.

A function that stands in a module goes as the name of the module, its file, and its own name. The other side
imports the module; or, if it is none that can be imported, such as a script that was started, it loads the
file under a name of its own. So what stands below ``if __name__ == "__main__"`` does not run there.

In the process that has made the reference it is the function itself.

One that has no name in its module, such as a lambda, goes as its code (`marshal`), beside the module: what it
uses by name is looked up there. Both sides have to be the same version of Python then; ours are.
"""

from __future__ import annotations

import importlib
import importlib.util
import marshal
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ...axon import UsageError

_loaded: dict[str, ModuleType] = {}  # modules that cannot be imported by their names, by their files


@dataclass(frozen=True)
class FunctionReference:
    """A function, in a form that can be pickled.

    Example:
        >>> import os.path
        >>> reference = FunctionReference.of(os.path.basename)
        >>> reference.resolve()("somewhere/star.py")
        'star.py'
        >>> import pickle
        >>> double = FunctionReference.of(lambda number: 2 * number)
        >>> pickle.loads(pickle.dumps(double)).resolve()(21)
        42
    """

    module: str
    """Its name; of a script that was started, ``__main__``."""
    file: str | None
    """Where that was loaded from."""
    folder: str | None
    """Where it is looked for."""
    name: str
    """Of the function, such as ``stream``."""
    code: bytes | None = None
    """Of one that is not found by its name."""
    defaults: tuple[Any, ...] | None = None
    keyword_defaults: dict[str, Any] | None = None
    closure: tuple[Any, ...] = ()
    """What it uses of the functions around it."""
    function: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    """The function itself; it stays where it is when the reference is pickled."""

    @staticmethod
    def of(function: Callable[..., Any]) -> FunctionReference:
        """Return a reference to a function. Raises `UsageError` for what is none."""
        module = getattr(function, "__module__", None)
        name = getattr(function, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str):
            raise UsageError(f"{function!r}: give a function, which stands in a module")
        found = sys.modules.get(module)
        file = getattr(found, "__file__", None)
        file = None if file is None else os.path.abspath(file)
        place = (module, file, None if file is None else _folder_of(module, file))
        if _find(found, name) is function:
            return FunctionReference(*place, name, function=function)
        if not isinstance(function, FunctionType):
            raise UsageError(
                f"{function!r} cannot be found in {module} by the name {name}: give a function that stands "
                "there, or a lambda"
            )
        return FunctionReference(
            *place,
            name,
            marshal.dumps(function.__code__),
            function.__defaults__,
            function.__kwdefaults__,
            tuple(cell.cell_contents for cell in function.__closure__ or ()),
            function,
        )

    def resolve(self) -> Callable[..., Any]:
        """Return the function, with its module loaded. Raises `UsageError` when it is not there."""
        if self.function is not None:
            return self.function
        module = self._module()
        if self.code is None:
            found = _find(module, self.name)
            if found is None:
                raise UsageError(f"{self}: there is no {self.name} in {module.__file__ or self.module}")
            function: Callable[..., Any] = found
            return function
        code: CodeType = marshal.loads(self.code)
        cells = tuple(map(_cell, self.closure))
        made = FunctionType(code, module.__dict__, code.co_name, self.defaults, cells)
        made.__kwdefaults__ = self.keyword_defaults
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "function": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def check_can_leave(self) -> None:
        """Raise `UsageError` if another process could not find the module."""
        if self.module == "__main__" and self.file is None:
            raise UsageError(
                f"{self.name} stands in no file, so other processes cannot find it: write it to one, or say "
                "executor=InlineExecutor()"
            )

    def _module(self) -> ModuleType:
        known = sys.modules.get(self.module)
        if known is not None and (self.file is None or _is_from(known, self.file)):
            return known
        if self.file is None:
            return importlib.import_module(self.module)
        main = sys.modules["__main__"]
        if self.module == "__main__" and _is_from(main, self.file):
            return main
        if self.file in _loaded:
            return _loaded[self.file]
        if self.folder is not None and self.folder not in sys.path:
            sys.path.insert(0, self.folder)  # also for what the module imports from beside it
        if self.module != "__main__" and known is None:
            try:
                module = importlib.import_module(self.module)
            except ModuleNotFoundError as error:
                if error.name is None or not (self.module + ".").startswith(error.name + "."):
                    raise
            else:
                if _is_from(module, self.file):
                    return module
        return _load(self.file)

    def __str__(self) -> str:
        """Return it as ``kamaelia simulate`` wants it, as far as it has a name."""
        return f"{self.place}:{self.name}"

    @property
    def place(self) -> str:
        """Its module, or the file, if it is none that is imported from here by its name."""
        if self.file is None:
            return self.module
        relative = os.path.relpath(self.file)
        if "." in self.module and self.module.replace(".", os.sep) == os.path.splitext(relative)[0]:
            return self.module
        return self.file if relative.startswith(os.pardir) else relative


def _find(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _folder_of(module: str, file: str) -> str:
    """Return the folder from which a module is imported, which is above all its packages."""
    folder = os.path.dirname(file)
    depth = module.count(".") + (os.path.basename(file) == "__init__.py")
    for _ in range(depth):
        folder = os.path.dirname(folder)
    return folder


def _is_from(module: ModuleType, file: str) -> bool:
    own = getattr(module, "__file__", None)
    return own is not None and os.path.abspath(own) == file


def _load(file: str) -> ModuleType:
    stem = os.path.splitext(os.path.basename(file))[0]
    name = f"kamaelia_experiment_{stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not os.path.isfile(file):
        raise UsageError(f"{file} cannot be loaded: there is no such file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _loaded[file] = module
    return module


def _cell(value: Any) -> Any:
    return (lambda: value).__closure__[0]  # type: ignore[index]


__all__ = ["FunctionReference"]
