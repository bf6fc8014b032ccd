"""The folder of command stand-ins that a lab puts before a shell's ``PATH``."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from backends.lab.clouds.commands import install as install_clouds

_TOOLS: Final = ("helm", "cilium")
_MODULE: Final = "backends.lab.commands"


def install(folder: Path, logins: Path) -> None:
    """Write the stand-ins into ``folder``, which lies beside ``logins``; each is an executable script."""
    install_clouds(folder, logins)
    root = str(Path(__file__).parents[2])
    for name in _TOOLS:
        module = f"{_MODULE}.{name}"
        if find_spec(f"{module}.__main__") is not None:
            find = f"import runpy, sys\nsys.path.insert(0, {root!r})\n"
            run = f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
            _script(folder / name, f"#!{sys.executable} -I\n{find}{run}")


def _script(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o700)
