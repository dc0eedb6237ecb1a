"""One module with one deciding line broken, in all the ways that are tried.

Left alone: words (f-strings, docstrings), types, and what dataclasses and imports declare. A mutant is the compiled
module; nothing is ever written to a file.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Final

LONGEST: Final = 70
"""Characters of a piece of code that are shown."""

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_OPPOSITES: Final = (
    ("min", "max"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("any", "all"),
    ("bisect_left", "bisect_right"),
    ("READ", "WRITE"),
    ("invoke", "complete"),
    ("invoked", "completed"),
    ("first", "last"),
    ("begin", "end"),
    ("before", "until"),
)
_NAMES: Final = {
    **{name: other for pair in _OPPOSITES for name, other in (pair, pair[::-1])},
    "OK": "FAIL",
    "FAIL": "INFO",
    "INFO": "OK",
}
_SIDES: Final = {"left": "right", "right": "left"}
_EMPTY: Final = {"int": "0", "list": "[]", "dict": "{}", "Sequence": "()", "Mapping": "{}"}
"""What a function returns instead, by the type it declares; `bool` has two constants."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`code` is the module with `what` changed in `line`, whose source is `text`.

    `function` is the innermost that the line is part of, empty outside of all. A mutant is known by function, text and
    what: (#2) is the second place there of which all are the same.
    """

    line: int
    function: str
    text: str
    what: str
    code: CodeType


def mutants(path: Path) -> Iterator[Mutant]:
    """All of one source file, from the top."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    lines = source.splitlines()
    seen: Counter[tuple[str, str, str]] = Counter()
    for place in sorted(_places(tree, _NO_FUNCTION), key=lambda place: (place.node.lineno, place.node.col_offset)):
        for other in _changes(place):
            place.put(ast.fix_missing_locations(ast.copy_location(other, place.node)))
            code = compile(tree, str(path), "exec")
            place.put(place.node)
            function, text = place.function.name, lines[place.node.lineno - 1].strip()
            what = f"{_shown(place.node)} -> {_shown(other)}"
            seen[function, text, what] += 1
            again = f" (#{number})" if (number := seen[function, text, what]) > 1 else ""
            yield Mutant(place.node.lineno, function, text, what + again, code)


Node = ast.expr | ast.stmt


@dataclass(frozen=True, slots=True)
class _Function:
    """Its name, and what it says that it returns."""

    name: str
    returns: str


_NO_FUNCTION: Final = _Function("", "")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: how to put another there, the field that holds it, and its function."""

    node: Node
    field: str
    parent: ast.AST
    put: Callable[[ast.AST], None]
    function: _Function


def _places(parent: ast.AST, function: _Function) -> Iterator[_Place]:
    """Everything below `parent` that may be changed."""
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "decorator_list", "bases", "type_params") or field == "returns":
            continue
        for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _left_alone(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield _Place(child, field, parent, _putter(parent, field, at), function)
            inner = _function(child) if isinstance(child, ast.FunctionDef) else function
            yield from _places(child, inner)


def _putter(parent: ast.AST, field: str, at: int | None) -> Callable[[ast.AST], None]:
    def put(node: ast.AST) -> None:
        if at is None:
            setattr(parent, field, node)
        else:
            getattr(parent, field)[at] = node

    return put


def _left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):  # aliases of types, and slots
        return isinstance(node.targets[0], ast.Name) and node.targets[0].id.strip("_")[:1].isupper()
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.annotation) == "TypeAlias" or "field(" in ast.unparse(node)
    if isinstance(node, ast.keyword):  # `strict` guards against a mistake of the caller's, it decides nothing
        return node.arg == "strict"
    words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return words or isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom)


def _function(node: ast.FunctionDef) -> _Function:
    return _Function(node.name, ast.unparse(node.returns) if node.returns else "")


def _changes(place: _Place) -> Iterator[ast.AST]:
    """What may stand there instead."""
    node = place.node
    if place.field == "test" or (place.field == "ifs" and isinstance(place.parent, ast.comprehension)):
        yield from _negated(node)
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BoolOp():
            yield from _connectives(node)
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub()):
            yield node.operand
        case ast.BinOp():
            yield from _operators(node)
        case ast.Constant():
            yield from _constants(node.value)
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in _NAMES:
            yield ast.Attribute(node.value, _NAMES[name], ast.Load())
        case ast.Expr() | ast.AugAssign() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Return():
            yield from _returns(node, place.function.returns)


def _negated(node: Node) -> Iterator[ast.AST]:
    """A single comparison and a negation have their own opposite."""
    single = isinstance(node, ast.Compare) and len(node.ops) == 1
    if isinstance(node, ast.expr) and not single and not isinstance(node, ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)


def _comparisons(node: ast.Compare) -> Iterator[ast.AST]:
    for at, op in enumerate(node.ops):
        for other in _COMPARISONS[type(op)]:
            yield ast.Compare(node.left, [*node.ops[:at], other(), *node.ops[at + 1 :]], node.comparators)


def _connectives(node: ast.BoolOp) -> Iterator[ast.AST]:
    """The other one, and each part left out."""
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for at in range(len(node.values)):
        rest = [*node.values[:at], *node.values[at + 1 :]]
        yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _operators(node: ast.BinOp) -> Iterator[ast.AST]:
    if type(node.op) in _OPERATORS:
        yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
    if isinstance(node.op, ast.BitAnd | ast.BitOr):
        yield from (node.left, node.right)


def _constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and value in _SIDES:
        yield ast.Constant(_SIDES[value])


def _returns(node: ast.Return, declared: str) -> Iterator[ast.AST]:
    if node.value is None or isinstance(node.value, ast.Constant):
        return
    constants = ("True", "False") if declared == "bool" else (_EMPTY.get(declared.partition("[")[0]),)
    for constant in constants:
        if constant and constant != ast.unparse(node.value):
            yield ast.Return(ast.parse(constant, mode="eval").body)


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
