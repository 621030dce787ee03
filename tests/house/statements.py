"""Finds the SQL in the code: every literal that is handed to a connection."""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
METHODS = frozenset({"execute", "executemany", "fetch", "fetchrow", "fetchval", "cursor"})
PREPARABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "VALUES")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and where it stands; `text` is None if only running the code would tell it."""

    file: str
    line: int
    text: str | None

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def preparable(self) -> bool:
        return self.text is not None and self.text.split(None, 1)[0].upper().startswith(PREPARABLE)


def in_folder(folder: str) -> list[Statement]:
    """The statements of a package, in order."""
    return [one for path in sorted((ROOT / folder).rglob("*.py")) for one in in_file(path)]


def in_file(path: Path) -> Iterator[Statement]:
    file = str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        if node.func.attr in METHODS and _may_be_text(node.args[0]):
            yield Statement(file, node.lineno, _value(node.args[0], file))


def _may_be_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.JoinedStr | ast.Attribute | ast.BinOp) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _value(node: ast.expr, file: str) -> str | None:
    """The text of an argument that is made of literals and of constants of its module."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    module = _module(file)
    try:
        value = eval(compile(ast.Expression(node), file, "eval"), dict(vars(module)))  # noqa: S307 - our own code
    except NameError:
        return None
    return value if isinstance(value, str) else None


def _module(file: str) -> ModuleType:
    return importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
