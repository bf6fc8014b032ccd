"""The project's own source as the house rules see it: files, syntax trees, imports."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mesh", "backends", "tui", "screens")


@dataclass(frozen=True)
class Import:
    """One imported module: who imports it, where, and whether only when a function runs (or only for types)."""

    importer: str
    imported: str
    place: str
    deferred: bool
    for_types: bool

    def within(self, *prefixes: str) -> bool:
        """Whether the imported module is one of these or lies below one."""
        return any(self.imported == prefix or self.imported.startswith(prefix + ".") for prefix in prefixes)


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Every file that git knows or would take, relative to the root; without git, all there are."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        folders = [ROOT / folder for folder in (*PACKAGES, "tests", "tools", "docs")]
        paths = [path.relative_to(ROOT) for folder in folders for path in folder.rglob("*") if path.is_file()]
    return tuple(sorted(path for path in set(paths) if (ROOT / path).is_file()))


def python_files(*folders: str) -> list[Path]:
    """Python files below these top folders, generated data excepted."""
    found = [path for path in project_files() if path.suffix == ".py" and path.parts[:2] != ("tests", "data")]
    return [path for path in found if not folders or path.parts[0] in folders]


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of one project file."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    """The import path of a project file."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    """Whether a dotted name is a module of this project."""
    path = Path(*name.split("."))
    return (ROOT / path).is_dir() or (ROOT / path).with_suffix(".py").is_file()


@functools.cache
def imports(*packages: str) -> tuple[Import, ...]:
    """All imports of these packages. ``from a import b`` is the module ``a.b`` if there is one, else ``a``."""
    found: list[Import] = []
    for path in python_files(*packages):
        found.extend(_imports_of(path))
    return tuple(found)


def _imports_of(path: Path) -> Iterator[Import]:
    for node, deferred, for_types in _walk(tree(path), deferred=False, for_types=False):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base for alias in node.names]
        else:
            continue
        for name in dict.fromkeys(names):
            yield Import(module_name(path), name, f"{path}:{node.lineno}", deferred, for_types)


def _walk(node: ast.AST, *, deferred: bool, for_types: bool) -> Iterator[tuple[ast.AST, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, deferred, for_types
        in_function = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from _walk(child, deferred=in_function, for_types=guarded)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, nested ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls(path: Path) -> Iterator[ast.Call]:
    """Every call in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield node


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string constant of a file but its docstrings, with its line."""
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.lineno, node.value
