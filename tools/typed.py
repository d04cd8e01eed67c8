"""Make Cython of Python: the compiled form of `kamaelia.testbed.tcp` from the source of the plain one.

`write` joins some modules into one ``.pyx`` file. It does little to them, and goes by annotations only:

| in Python | in Cython |
| --- | --- |
| a class with ``__slots__`` | a ``cdef class``; attributes have the types that ``__init__`` gives them |
| a method or function | ``cpdef``, with types; ``__init__`` and its like stay ``def`` |
| ``int``, ``bool`` | ``long long``, ``bint`` |
| a class of these modules, or None | that class |
| a class that no other derives from | final; not for the garbage collector if it can be in no cycle |
| making an object of such a class | a call of C: ``new_Class``, with what ``__init__`` does |
| ``name: Type = value`` in a function | the same, with ``cdef Type name`` |
| a constant of a module that is a whole number | that number, wherever it is used |

So whole numbers must fit into 64 bits, and attributes and local variables keep their types. Other locals have
the type that Cython infers. Imports of one of the modules by another are left out, docstrings stay.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

DIRECTIVES = (
    "# cython: language_level=3, boundscheck=False, initializedcheck=False, nonecheck=False",
    "# cython: auto_pickle=False, binding=False, infer_types=True, annotation_typing=False",
)
PLAIN = {"int": "long long", "bool": "bint", "bytes": "bytes", "str": "str", "float": "double"}
ACYCLIC = {*PLAIN.values(), "tuple"}
"""Types of attributes that can be in no cycle: tuples are taken to hold numbers."""
CONTAINERS = {"list": "list", "dict": "dict", "tuple": "tuple"}


class Translator:
    """The modules that are joined, and what is known of them."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.constants: dict[str, int] = {}
        self.classes: dict[str, set[str]] = {}  # their attributes, with those of their bases
        self.bases: set[str] = set()  # classes that others are made of
        self.makers: dict[str, tuple[str, str]] = {}  # parameters of each class, with types and without
        self.made: set[str] = set()  # classes of which objects are made here
        self.base = ""  # of the class that is put down
        self.lines: list[str] = []

    # -- types --------------------------------------------------------------------------------------

    def type_of(self, annotation: ast.expr | None) -> str:
        """Return the C type of an annotation; "object" for what has none."""
        if isinstance(annotation, ast.Name):
            name = annotation.id
            return PLAIN.get(name) or CONTAINERS.get(name) or (name if name in self.classes else "object")
        if isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name):
            return CONTAINERS.get(annotation.value.id, "object")
        if isinstance(annotation, ast.BinOp):  # X | None
            sides = [annotation.left, annotation.right]
            rest = [one for one in sides if not (isinstance(one, ast.Constant) and one.value is None)]
            found = self.type_of(rest[0]) if len(rest) == 1 else "object"
            return found if found in self.classes or found in CONTAINERS.values() else "object"
        return "object"

    def type_of_value(self, value: ast.expr, parameters: dict[str, str]) -> str:
        """Return the type of what ``__init__`` assigns."""
        if isinstance(value, ast.Constant):
            return PLAIN.get(type(value.value).__name__, "object")
        if isinstance(value, ast.Name):
            return "long long" if value.id in self.constants else parameters.get(value.id, "object")
        if isinstance(value, (ast.UnaryOp, ast.BinOp)):
            return "long long"
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            name = value.func.id
            return name if name in self.classes else "long long" if name in ("min", "max") else "object"
        return "object"

    def parameters(self, function: ast.FunctionDef) -> dict[str, str]:
        """Return the types of the parameters of a function."""
        return {one.arg: self.type_of(one.annotation) for one in function.args.args if one.arg != "self"}

    # -- modules ------------------------------------------------------------------------------------

    def add(self, text: str, package: set[str]) -> None:
        """Add a module.

        Arguments:
            text: its source
            package: the names of all that are joined
        """
        for node in ast.parse(text).body:
            if isinstance(node, ast.ImportFrom):
                if node.level == 1 and node.module in package:
                    continue
                if node.level == 1:
                    node.module = f"{self.package}.{node.module}"
                if node.module not in ("__future__", "typing", "collections.abc"):
                    self.lines.append(ast.unparse(node))
            elif isinstance(node, ast.Import):
                self.lines.append(ast.unparse(node))
            elif isinstance(node, ast.ClassDef):
                self.add_class(node)
            elif isinstance(node, ast.FunctionDef):
                self.add_function(node, "")
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                self.add_assignment(node)

    def add_assignment(self, node: ast.Assign | ast.AnnAssign) -> None:
        """Keep a constant that is a whole number, or several; put down any other."""
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        assert node.value is not None
        try:
            value: Any = eval(
                ast.unparse(node.value), {"range": range, "__builtins__": {}}, dict(self.constants)
            )
        except (NameError, TypeError):
            value = None
        if isinstance(target, ast.Tuple) and value is not None:
            self.constants.update(zip([ast.unparse(one) for one in target.elts], value, strict=True))
        elif isinstance(target, ast.Name) and type(value) is int:
            self.constants[target.id] = value
        else:
            self.lines.append(f"{ast.unparse(target)} = {self.body_of(node.value)}")

    def add_class(self, node: ast.ClassDef) -> None:
        """Put down a class."""
        base = self.base = ast.unparse(node.bases[0]) if node.bases else ""
        self.classes[node.name] = set(self.classes.get(base, ()))
        methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
        found = self.attributes(node.name, methods)
        self.check_slots(node, found)
        self.lines += ["", ""]
        if node.name not in self.bases:
            self.lines.append("@cython.final")
        if set(found.values()) <= ACYCLIC and not base:
            self.lines += ["@cython.no_gc", "@cython.freelist(1024)"]
        self.lines.append(f"cdef class {node.name}{f'({base})' if base else ''}:")
        for name, kind in found.items():
            self.lines.append(f"    cdef public {kind} {name}")
        for one in node.body:
            if isinstance(one, ast.FunctionDef):
                if one.name == "__init__":
                    self.add_init(node.name, one)
                else:
                    self.add_function(one, "    ")
            elif not (isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__slots__"):
                self.lines.append("    " + ast.unparse(one))

    def attributes(self, name: str, methods: list[ast.FunctionDef]) -> dict[str, str]:
        """Return the types of the attributes that a class adds to those of its base."""
        found: dict[str, str] = {}
        known = self.classes[name]
        for function in methods:
            if function.name != "__init__":
                continue
            parameters = self.parameters(function)
            for node in ast.walk(function):
                targets = (
                    node.targets
                    if isinstance(node, ast.Assign)
                    else [node.target]
                    if isinstance(node, ast.AnnAssign)
                    else []
                )
                for target in targets:
                    if not (isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"):
                        continue
                    if target.attr in known:
                        continue
                    if isinstance(node, ast.AnnAssign):
                        found[target.attr] = self.type_of(node.annotation)
                    else:
                        found[target.attr] = self.type_of_value(node.value, parameters)  # type: ignore[union-attr]
        known.update(found)
        return found

    def check_slots(self, node: ast.ClassDef, found: dict[str, str]) -> None:
        """Raise if an attribute is not made in ``__init__``, or is not in the slots."""
        for one in node.body:
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__slots__":
                slots = set(ast.literal_eval(one.value))
                if slots != set(found):
                    raise TypeError(f"{node.name}: __init__ and __slots__ differ: {slots ^ set(found)}")

    def add_init(self, name: str, node: ast.FunctionDef) -> None:
        """Put down how an object is made, from Python and from here."""
        self.makers[name] = (self.typed(node), ", ".join(self.parameters(node)))
        inner = ast.FunctionDef(f"init_{name}", node.args, node.body, [], node.returns)
        self.add_function(ast.fix_missing_locations(inner), "    ")
        typed, names = self.makers[name]
        self.lines += ["", f"    def __init__(self, {typed}):", f"        self.init_{name}({names})"]

    def add_makers(self) -> None:
        """Put down the functions that make objects, when all classes are known."""
        for name in sorted(self.made):
            typed, names = self.makers[name]
            self.lines += [
                "",
                "",
                f"cdef {name} new_{name}({typed}):",
                f"    cdef {name} made = {name}.__new__({name})",
                f"    made.init_{name}({names})",
                "    return made",
            ]

    def typed(self, node: ast.FunctionDef) -> str:
        """Return the parameters of a function with their types."""
        return ", ".join(
            name if kind == "object" else f"{kind} {name}" for name, kind in self.parameters(node).items()
        )

    def add_function(self, node: ast.FunctionDef, indent: str) -> None:
        """Put down a function or method."""
        arguments = ["self"] if indent else []
        arguments += [self.typed(node)] if self.parameters(node) else []
        returns = self.type_of(node.returns)
        head = "def "
        if not node.name.startswith("__"):
            head = "cpdef " if returns == "object" else f"cpdef {returns} "
        tail = ""
        if head.startswith(("cpdef long long", "cpdef double")):
            tail = " except? -1"
        elif head.startswith("cpdef bint"):
            tail = " except -1"
        self.lines += ["", f"{indent}{head}{node.name}({', '.join(arguments)}){tail}:"]
        body = list(node.body)
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            self.lines.append(f"{indent}    {ast.unparse(body.pop(0))}")
        declared: dict[str, str] = {}
        for one in ast.walk(node):
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                declared[one.target.id] = self.type_of(one.annotation)
        self.lines += [f"{indent}    cdef {kind} {name}" for name, kind in declared.items()]
        for statement in body:
            text = self.body_of(statement)
            self.lines += [f"{indent}    {line}" for line in text.splitlines()]
        if not body:
            self.lines.append(f"{indent}    pass")

    def body_of(self, node: ast.AST) -> str:
        """Return the text of some code, with constants and without annotations."""
        body = _Body(self.constants, set(self.makers), self.base)
        text = ast.unparse(body.visit(node))
        self.made |= body.made
        return text


class _Body(ast.NodeTransformer):
    """Puts numbers for the names of constants, and leaves out annotations."""

    def __init__(self, constants: dict[str, int], makers: set[str], base: str) -> None:
        self.constants = constants
        self.makers = makers
        self.base = base
        self.made: set[str] = set()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Name) and function.id in self.makers:
            self.made.add(function.id)
            function.id = f"new_{function.id}"
        elif ast.unparse(function) == "super().__init__":
            node.func = ast.Name(f"self.init_{self.base}", ast.Load())
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self.constants:
            return self.visit_Constant(ast.Constant(self.constants[node.id]))
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        # Cython makes an object of what has more than 32 bits, unless it is told not to.
        if type(node.value) is int and node.value >= 2**31:
            return ast.Name(f"{node.value}LL", ast.Load())
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        # C would shift a number of 32 bits.
        self.generic_visit(node)
        if isinstance(node.op, ast.LShift) and isinstance(node.left, ast.Constant):
            node.left = ast.Name(f"{node.left.value}LL", ast.Load())
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value), lineno=0), node)


def translate(folder: Path, modules: tuple[str, ...]) -> str:
    """Return the Cython of some modules of a folder, in the order in which they need each other."""
    translator = Translator(folder.name)
    texts = [(folder / f"{name}.py").read_text() for name in modules]
    for node in ast.walk(
        ast.parse("\n".join(text.replace("from __future__ import annotations", "") for text in texts))
    ):
        if isinstance(node, ast.ClassDef):
            translator.bases.update(ast.unparse(base) for base in node.bases)
    for text in texts:
        translator.add(text, set(modules))
    translator.add_makers()
    return "\n".join([*DIRECTIVES, "cimport cython", *translator.lines, ""])


def write(folder: Path, modules: tuple[str, ...], target: Path) -> None:
    """Write that into a file, if it is not there already."""
    text = translate(folder, modules)
    if not target.exists() or target.read_text() != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
