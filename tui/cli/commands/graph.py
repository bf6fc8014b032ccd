"""``meshwright graph``: the picture of the screen, as text or JSON."""

import argparse
import textwrap

from mesh.assess import picture as pictured
from mesh.draw.lanes import draw_lanes, in_words
from mesh.draw.legend import legend
from mesh.draw.map import NARROWEST, draw_map
from mesh.errors import Exit, UsageError
from mesh.model.picture import MeshPicture
from mesh.topology import components, missing_links
from tui.cli.printing import columns, glyphs_for, say, say_json
from tui.cli.session import opened


async def run(arguments: argparse.Namespace) -> int:
    """Draw what is so now. Returns 0, for a picture judges nothing, or 3 when no cluster could be read."""
    if 0 < arguments.width < NARROWEST or arguments.width < 0:
        hint = f"Give --width {NARROWEST} or more, or -o json."
        raise UsageError(f"--width {arguments.width} is too narrow for the map", hint=hint)
    async with opened(arguments) as session:
        store = await session.gather()
    picture = pictured(store, session.keys)
    code = Exit.CLEAN if any(box.reachable for box in picture.clusters) else Exit.UNDETERMINED
    if arguments.output == "json":
        body = {"mesh": picture, "components": components(picture), "not_connected": missing_links(picture)}
        say_json("Mesh", body)
        return code
    glyphs, width = glyphs_for(plain=arguments.ascii), arguments.width or columns()
    say(draw_map(picture, width, glyphs, show_all=arguments.all).text())
    if picture.services:
        say()
        say(draw_lanes(picture, width, glyphs).text())
        for service in picture.services:
            say(f" {service.namespace}/{service.name}")
            for words in in_words(service):
                for line in textwrap.wrap(words, width, initial_indent="   ", subsequent_indent="      "):
                    say(line)
    if picture.services_unread:
        told = f"The Services of {', '.join(picture.services_unread)} could not be read; there may be more global ones."
        say()
        for line in textwrap.wrap(told, width, initial_indent=" ", subsequent_indent=" "):
            say(line)
    lacks = needed(picture)
    if lacks:
        say()
    for told in lacks:
        for line in textwrap.wrap(told, width, initial_indent=" ", subsequent_indent="   "):
            say(line)
    say()
    for line in _legend(legend(picture, glyphs), width):
        say(line)
    return code


def needed(picture: MeshPicture) -> tuple[str, ...]:
    """What would give what was not read, a line each."""
    lacks = [*(lift for link in picture.links for lift in link.lifts)]
    lacks += [(box.key, lift) for box in picture.clusters for lift in box.lifts]
    return tuple(dict.fromkeys(f"? {cluster} needs: {lift}" for cluster, lift in lacks))


def _legend(entries: tuple[tuple[str, str], ...], width: int) -> list[str]:
    """Signs and their meanings, as many in a line as fit."""
    lines: list[str] = []
    for sign, meaning in entries:
        entry = f"{sign} {meaning}"
        if lines and len(lines[-1]) + 3 + len(entry) <= width:
            lines[-1] += f"   {entry}"
        else:
            lines.append(f" {entry}")
    return lines
