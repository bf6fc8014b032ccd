"""Contrast of the own themes, and that every token has a style that survives without colour."""

import re

import pytest
from textual.color import Color

from tui import themes

OWN = [theme for theme in themes.THEMES if not theme.ansi]


def luminance(colour: Color) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [value / 255 for value in colour.rgb]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio of two opaque colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colours(theme: object) -> dict[str, Color]:
    """The variables of a theme as colours."""
    made = theme.to_color_system().generate()  # type: ignore[attr-defined]  # a Theme
    return {name: Color.parse(value) for name, value in made.items() if re.match(r"#[0-9A-Fa-f]{6}$", value)}


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_text_has_contrast_on_every_ground(theme: object) -> None:
    found = colours(theme)
    names = {colour.lstrip("$") for name, (colour, _) in themes.TOKENS.items() if name != "rule"}
    for name in names:
        for ground in ("background", "surface", "panel"):
            ratio = contrast(found[name], found[ground])
            assert ratio >= 4.5, f"${name} on ${ground}: {ratio:.1f}"


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_the_cursor_row_and_borders_have_contrast(theme: object) -> None:
    found = colours(theme)
    assert contrast(found["block-cursor-foreground"], found["block-cursor-background"]) >= 4.5
    assert contrast(found["block-cursor-blurred-foreground"], found["block-cursor-blurred-background"]) >= 4.5
    assert contrast(found["border-blurred"], found["background"]) >= 3.0
    assert contrast(found["border"], found["panel"]) >= 3.0


def test_failing_and_unknown_are_told_by_weight_too() -> None:
    assert "bold" in themes.TOKENS["fail"][1] and "bold" in themes.TOKENS["unknown"][1]
    assert "reverse" in themes.TOKENS["error"][1] and "reverse" in themes.TOKENS["armed"][1]


def test_ansi_themes_dim_nothing_that_must_be_read() -> None:
    for theme in themes.THEMES:
        if theme.ansi:
            variables = theme.to_color_system().generate()
            for name in ("text-muted", "text-error", "text-success", "text-warning", "text-accent", "border-blurred"):
                assert "%" not in variables[name], f"{name} of {theme.name} is dimmed"
            assert variables["block-cursor-text-style"] == "reverse"
