"""What is published: the wheel, the locks, the targets of make, and that every package named is one that is used."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.house.source import PACKAGES, ROOT, imports, project_files

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TARGETS = ("setup", "demo", "test", "test-real", "lint", "fix", "bench", "proof")
# Distributions whose modules have another name.
MODULES = {"pyyaml": "yaml", "azure-identity": "azure.identity"}


def declared() -> set[str]:
    """Distributions that the project needs at run time, the lab's among them."""
    project = PROJECT["project"]
    found = (*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group))
    return {re.split(r"[\[<>=~!;]", one, maxsplit=1)[0].strip().lower() for one in found}


def module_of(distribution: str) -> str:
    return MODULES.get(distribution, distribution.replace("-", "."))


def test_every_package_is_used_and_every_used_one_is_declared() -> None:
    third = {
        found.imported
        for found in imports(*PACKAGES)
        if found.imported.partition(".")[0] not in (*PACKAGES, *sys.stdlib_module_names)
    }
    used = {name: {one for one in third if f"{one}.".startswith(f"{module_of(name)}.")} for name in declared()}
    # What botocore and azure.core raise comes with boto3 and the azure-mgmt packages.
    used["boto3"] |= {one for one in third if one.startswith("botocore")}
    used["azure-identity"] |= {one for one in third if one.startswith("azure.core")}
    assert sorted(name for name, modules in used.items() if not modules) == []
    assert sorted(third - set().union(*used.values())) == []


def test_every_package_has_its_reason() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = {name.strip().lower() for row in re.findall(r"^\| ([^|]+) \|", table, re.M) for name in row.split(",")}
    told = {re.sub(r" \(.*\)", "", name) for name in told}
    groups = PROJECT["dependency-groups"]["dev"]
    development = {re.split(r"[<>=]", one, maxsplit=1)[0].lower() for one in groups}
    assert sorted((declared() | development) - told) == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_everything_by_hash_and_name_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9._-]+)==(\S+)(.*(?:\n    .*)*)", text, re.M)
    assert len(pins) > 40
    assert [name for name, _, rest in pins if "--hash=sha256:" not in rest] == []
    assert not re.search(r"--(extra-)?index-url|--find-links|https?://", text)
    assert sorted(declared() - {name for name, _, _ in pins}) == []


def test_make_alone_lists_every_target_with_a_line_of_help() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not here")
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    told = dict(re.findall(r"^  make (\S+) +(\S.*)$", done.stdout, re.M))
    assert set(TARGETS) <= set(told)


def test_the_wheel_is_flat_whole_and_has_its_commands(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (commands,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
        points = archive.read(commands).decode()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert names >= {path.as_posix() for path in project_files() if path.parts[0] in PACKAGES}
    assert {line.partition(" = ")[0] for line in points.splitlines() if " = " in line} == {
        "meshwright",
        "kubectl-meshwright",
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)
