"""The rules of the house that no single file shows: sizes, names, imports, text that is shown, what is published."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import table
from tests.house.source import (
    PACKAGES,
    ROOT,
    calls,
    functions,
    imports,
    module_name,
    project_files,
    python_files,
    strings,
    tree,
)

MAX_FILE, MAX_FUNCTION, MAX_FOLDER = 400, 50, 14
BANNED_NAMES = re.compile(r"^_?(utils?|helpers?|managers?|common|misc)$")
HEAVY = set("textual rich kubernetes boto3 botocore azure moto aiohttp yaml cryptography networkx".split())

# The outermost edges, where anything at all may arrive: file -> how many. What raises again is clean-up, not an edge.
BROAD_EXCEPTS = {
    "backends/cloud.py": 1,
    "backends/gather.py": 1,
    "backends/lab/api/server.py": 1,
    "backends/lab/clouds/aws/gate.py": 1,
    "mesh/engine.py": 1,
    "tui/bridge.py": 1,
    "tui/cli/main.py": 1,
}
# Folders whose files are laid out one by one in the architecture, with the number that they may have.
LARGE_FOLDERS = {
    "mesh": 36,
    "backends": 18,
    "tui/present": 18,
    "screens": 24,
    "backends/lab/api": 24,
    "backends/lab/storage": 20,
}
# Colours have names everywhere but where the names get their values.
PALETTES = re.compile(r"^(tui/theme(s|/.*)?\.py|mesh/draw/palette\.py)$")

HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b|^#[0-9a-fA-F]{3}$")
TCSS_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b(?=[^{]*;)|\b(?:rgb|rgba|hsl|hsla)\(")
TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore(?!\[[\w, -]+\]\s+#\s*\S)")
# Split so that this file does not hold what it forbids.
MACHINE = re.compile("/" + r"(?:work|root|home/(?!u/)\w+|Users/\w+)/|/tmp/" + r"(?:brief|bed)")
_HOSTS = (
    (r"py", r"pi\.org"),
    (r"python", r"hosted\.org"),
    (r"(?:proxy|sum)\.go", r"lang\.org"),
    (r"registry\.npm", r"js"),
    (r"crates", r"\.io"),
    (r"deb\.deb", r"ian\.org"),
)
REGISTRIES = re.compile("|".join(map("".join, _HOSTS)))


def report(offences: list[str]) -> None:
    assert not offences, "\n" + "\n".join(offences)


def test_files_are_short() -> None:
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in python_files()}
    report([f"{path}: {lines} lines, {MAX_FILE} allowed" for path, lines in lengths.items() if lines > MAX_FILE])


def test_functions_are_short() -> None:
    report(
        [
            f"{path}:{node.lineno} {node.name}: {length} lines, {MAX_FUNCTION} allowed"
            for path in python_files()
            for node in functions(path)
            if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION
        ]
    )


def test_folders_are_split_by_meaning() -> None:
    folders: dict[Path, int] = {}
    for path in python_files(*PACKAGES):
        folders[path.parent] = folders.get(path.parent, 0) + (path.name != "__init__.py")
    report([f"{f}: {n} modules" for f, n in sorted(folders.items()) if n > LARGE_FOLDERS.get(f.as_posix(), MAX_FOLDER)])


def test_names_say_what_is_inside() -> None:
    report(
        [str(path) for path in python_files() if any(BANNED_NAMES.match(part) for part in path.with_suffix("").parts)]
    )


def test_every_import_is_in_the_table() -> None:
    offences = []
    for found in imports(*PACKAGES):
        why = table.objection(found.importer, found.imported, deferred=found.deferred, for_types=found.for_types)
        if why:
            offences.append(f"{found.place}: {found.importer} imports {found.imported}: {why}")
    report(offences)


def test_the_table_objects_to_what_it_should() -> None:
    def objects(module: str, imported: str, *, deferred: bool = False) -> bool:
        return bool(table.objection(module, imported, deferred=deferred, for_types=False))

    assert objects("mesh.engine", "networkx") and not objects("mesh.topology", "networkx")
    assert objects("mesh.engine", "asyncio") and not objects("mesh.run", "asyncio")
    assert objects("mesh.checks.identity", "mesh.plan") and objects("mesh.checks.identity", "mesh.checks.datapath")
    assert objects("backends.aws.reader", "boto3") and not objects("backends.aws.reader", "boto3", deferred=True)
    assert objects("backends.aws.reader", "backends.kube.client", deferred=True)
    assert objects("backends.gather", "kubernetes", deferred=True)
    assert objects("backends.lab.world", "mesh.checks.identity") and objects(
        "backends.kube.client", "backends.lab.world"
    )
    assert objects("tui.bridge", "backends.wiring", deferred=True) and objects("screens.plan", "subprocess")
    assert not objects("tui.cli.commands.check", "backends.wiring", deferred=True)
    assert objects("tui.cli.commands.check", "textual")


def test_the_contracts_of_the_import_linter_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-logo", "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def loaded_by(code: str) -> set[str]:
    """The top-level modules of ``HEAVY`` that a fresh interpreter has loaded after running ``code``."""
    tail = f"import sys; print(*({HEAVY!r} & {{name.partition('.')[0] for name in sys.modules}}), file=sys.stderr)"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tail}"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stderr.split("\n")[-2].split())


def test_the_core_loads_nothing_heavy() -> None:
    names = [module_name(path) for path in python_files("mesh") if module_name(path) != "mesh.topology"]
    assert loaded_by("\n".join(f"import {name}" for name in names)) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["explain", "--help"]])
def test_the_command_line_answers_without_anything_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from tui.__main__ import main
sys.argv[1:] = {arguments!r}
try:
    end = main()
except SystemExit as stop:
    end = stop.code
assert not end, end"""
    assert loaded_by(code) == set()


def test_colours_have_names() -> None:
    offences = [
        f"{path}:{line}: {text!r}"
        for path in python_files("mesh", "tui", "screens")
        if not PALETTES.match(path.as_posix())
        for line, text in strings(path)
        if HEX_COLOUR.search(text)
    ]
    for path in project_files():
        if path.suffix == ".tcss":
            lines = enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
            offences += [f"{path}:{number}: {line.strip()}" for number, line in lines if TCSS_COLOUR.search(line)]
    report(offences)


def test_text_from_outside_is_never_markup() -> None:
    offences = []
    for path in python_files("mesh", "backends", "tui", "screens"):
        for call in calls(path):
            called = ast.unparse(call.func)
            if any(word.arg == "markup" and ast.unparse(word.value) == "True" for word in call.keywords):
                offences.append(f"{path}:{call.lineno}: markup=True")
            if called.endswith("from_markup") and call.args and isinstance(call.args[0], ast.JoinedStr | ast.BinOp):
                offences.append(f"{path}:{call.lineno}: {called} of a built string; pass the parts by name")
        for found in ast.walk(tree(path)):
            if isinstance(found, ast.ImportFrom) and (found.module or "").endswith("markup"):
                offences += [f"{path}:{found.lineno}: escape" for alias in found.names if alias.name == "escape"]
            elif isinstance(found, ast.Attribute) and ast.unparse(found).endswith("markup.escape"):
                offences.append(f"{path}:{found.lineno}: markup.escape")
    report(offences)


def test_broad_excepts_are_at_the_edges_only() -> None:
    counts: dict[str, int] = {}
    for path in python_files(*PACKAGES):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "BaseException"
                raised = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
                if re.search(r"\b(Base)?Exception\b", caught) and not raised:
                    counts[path.as_posix()] = counts.get(path.as_posix(), 0) + 1
    report([f"{path}: {n}" for path, n in counts.items() if n > BROAD_EXCEPTS.get(path, 0)])


def test_ignored_types_say_which_and_why() -> None:
    offences = []
    for path in python_files():
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
            if TYPE_IGNORE.search(line) and "re.compile" not in line:
                offences.append(f"{path}:{number}: {line.strip()}")
    report(offences)


def test_public_things_are_documented() -> None:
    offences = []
    for path in python_files(*PACKAGES):
        module = tree(path)
        if path.name not in ("__init__.py", "__main__.py") and not ast.get_docstring(module):
            offences.append(f"{path}: the module")
        for node in module.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not node.name.startswith("_") and not ast.get_docstring(node):
                offences.append(f"{path}:{node.lineno}: {node.name}")
    report(offences)


def test_the_core_does_not_print_or_read_the_clock() -> None:
    told = {"print", "input", "open", "datetime.now", "datetime.datetime.now", "date.today"}
    called = [(path, call.lineno, ast.unparse(call.func)) for path in python_files("mesh") for call in calls(path)]
    report([f"{path}:{line}: {name}" for path, line, name in called if name in told])


def test_nothing_published_names_a_machine_or_a_package_registry() -> None:
    offences = []
    for path in project_files():
        content = (ROOT / path).read_bytes()
        if b"\0" in content[:4096]:
            continue
        for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), 1):
            if found := MACHINE.search(line) or REGISTRIES.search(line):
                offences.append(f"{path}:{number}: {found[0]}")
    report(offences)
