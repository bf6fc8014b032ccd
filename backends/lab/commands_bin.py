"""The folder of command stand-ins that a lab puts before a shell's ``PATH``."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Final

_PLUGINS: Final = ("aws", "az", "kubelogin")
_TOOLS: Final = ("helm", "cilium")
_MODULE: Final = "backends.lab.commands"


def install(folder: Path, logins: Path) -> None:
    """Write the stand-ins into ``folder``, which lies beside ``logins``; each is an executable script."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    clouds = _module("backends.lab.clouds.commands")
    if clouds is not None and hasattr(clouds, "install"):
        clouds.install(folder, logins)
    else:
        source = (Path(__file__).parent / "stand_in.py").read_text("utf-8")
        for name in _PLUGINS:
            script(folder / name, source)
    for name in _TOOLS:
        if _module(f"{_MODULE}.{name}") is not None:
            script(folder / name, _launcher(f"{_MODULE}.{name}"), isolated=False)


def _module(name: str) -> object | None:
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    # A folder without code is a namespace package: nothing to run.
    return None if found is None or found.origin is None else importlib.import_module(name)


def _launcher(module: str) -> str:
    root = str(Path(__file__).parents[2])
    return f"import runpy, sys\nsys.path.insert(0, {root!r})\nrunpy.run_module({module!r}, run_name='__main__')\n"


def script(path: Path, source: str, *, isolated: bool = True) -> None:
    """Write an executable Python script; ``isolated`` ones see no site packages and start in milliseconds."""
    interpreter = f"#!{sys.executable} {'-IS' if isolated else '-I'}\n"
    path.write_text(interpreter + source, "utf-8")
    path.chmod(0o700)
