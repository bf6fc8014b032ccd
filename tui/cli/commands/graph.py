"""``meshwright graph``: the picture of the screen, as text or JSON."""

import argparse
import shutil
import sys

from mesh.assess import picture as pictured
from mesh.draw.glyphs import ASCII, UNICODE
from mesh.draw.lanes import draw_lanes, in_words
from mesh.draw.map import draw_map
from mesh.errors import Exit
from mesh.topology import components, missing_links
from tui.cli.printing import say, say_json
from tui.cli.session import opened


async def run(arguments: argparse.Namespace) -> int:
    """Draw what is so now. Returns 0, for a picture judges nothing, or 3 when no cluster could be read."""
    async with opened(arguments) as session:
        store = await session.gather()
    picture = pictured(store, session.keys)
    code = Exit.CLEAN if any(box.reachable for box in picture.clusters) else Exit.UNDETERMINED
    if arguments.output == "json":
        body = {"mesh": picture, "components": components(picture), "not_connected": missing_links(picture)}
        say_json("Mesh", body)
        return code
    plain = arguments.ascii or (sys.stdout.encoding or "").lower().replace("-", "") not in ("utf8", "utf16")
    glyphs = ASCII if plain else UNICODE
    width = arguments.width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else 80)
    say(draw_map(picture, width, glyphs, show_all=arguments.all).text())
    if picture.services:
        say()
        say(draw_lanes(picture, width, glyphs).text())
        for service in picture.services:
            say(f" {service.namespace}/{service.name}")
            for line in in_words(service):
                say(f"   {line}")
    if picture.services_unread:
        say()
        say(f" The Services of {', '.join(picture.services_unread)} could not be read; there may be more global ones.")
    return code
