"""Draws docs/mesh.svg: the app on a running lab, as it looks on a terminal of 100 × 30."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from backends.wiring import open_ports
from tui.app import MeshwrightApp, Options

ROOT = Path(__file__).resolve().parents[1]
SIZE = (100, 30)
DEADLINE = 120.0


async def draw(target: Path, scenario: str = "three-clouds") -> None:
    """Start the lab, read it, open the mesh, and write what is on the screen. Raises ``TimeoutError``."""
    ports = open_ports(lab=True)
    app = MeshwrightApp(ports, Options(demo=True, scenario=scenario, seed=7))
    until = time.monotonic() + DEADLINE

    async with app.run_test(size=SIZE) as pilot:

        async def shown(text: str) -> None:
            while text not in _plain(app):
                if time.monotonic() > until:
                    raise TimeoutError(f"{text!r} did not appear:\n{_plain(app)}")
                await pilot.pause(0.1)

        await shown("✓ ready")
        await pilot.press("enter")
        await shown("Facts complete")
        await pilot.press("6")
        await shown("[Map]")
        await pilot.pause(1.0)
        svg = app.export_screenshot(title="meshwright demo")
    app.bridge.close(ports.lab.stop if ports.lab is not None else None)
    target.parent.mkdir(exist_ok=True)
    fresh = target.with_suffix(".new")
    fresh.write_text(_without_fonts_from_elsewhere(svg), encoding="utf-8")
    fresh.replace(target)


def _plain(app: MeshwrightApp) -> str:
    return "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())


def _without_fonts_from_elsewhere(svg: str) -> str:
    """The exporter names a font to be fetched; a picture in a README fetches nothing."""
    begin = svg.find("@font-face")
    while begin != -1:
        end = svg.index("}", begin) + 1
        svg = svg[:begin] + svg[end:]
        begin = svg.find("@font-face")
    return svg


def main() -> int:
    """Write the picture; its path may be given."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "mesh.svg"
    with tempfile.TemporaryDirectory() as state:
        # The same picture from whatever terminal it is made.
        os.environ.update(MESHWRIGHT_STATE_DIR=state, TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
        asyncio.run(draw(target))
    print(target.relative_to(ROOT) if target.is_relative_to(ROOT) else target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
