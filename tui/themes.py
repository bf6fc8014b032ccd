"""The app's own themes and its corrections to the terminal's own sixteen colours (screens.md §6)."""

from collections.abc import Mapping
from typing import Final

from textual.theme import BUILTIN_THEMES, Theme

DARK: Final = "meshwright-dark"
LIGHT: Final = "meshwright-light"
ANSI_DARK: Final = "ansi-dark"
ANSI_LIGHT: Final = "ansi-light"
NAMES: Final = (DARK, LIGHT, ANSI_DARK, ANSI_LIGHT)

# Style token of a line -> (CSS colour, text style). Tokens of mesh.draw are among them.
TOKENS: Final[Mapping[str, tuple[str, str]]] = {
    "text": ("$foreground", "none"),
    "title": ("$foreground", "bold"),
    "name": ("$text-primary", "none"),
    "muted": ("$text-muted", "none"),
    "absent": ("$text-muted", "none"),
    "rule": ("$border-blurred", "none"),
    "key": ("$footer-key-foreground", "bold"),
    "ok": ("$text-success", "none"),
    "info": ("$text-primary", "none"),
    "warn": ("$text-warning", "none"),
    "degraded": ("$text-warning", "none"),
    "fail": ("$text-error", "bold"),
    "down": ("$text-error", "bold"),
    "unknown": ("$text-accent", "bold"),
    "accent": ("$text-accent", "none"),
    "error": ("$text-error", "bold reverse"),
    "badge": ("$foreground", "bold"),
    "armed": ("$text-warning", "bold reverse"),
    "here": ("$foreground", "bold reverse"),
}


def _own(name: str, dark: bool, colours: str, muted: str, cursor: str) -> Theme:
    background, surface, panel, foreground, primary, accent, success, warning, error, border = colours.split()
    return Theme(
        name=name,
        dark=dark,
        background=background,
        surface=surface,
        panel=panel,
        foreground=foreground,
        primary=primary,
        secondary=primary,
        accent=accent,
        success=success,
        warning=warning,
        error=error,
        variables={
            "border": primary,
            "border-blurred": border,
            "text-muted": muted,
            "footer-key-foreground": primary,
            "block-cursor-background": primary,
            "block-cursor-foreground": cursor,
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": panel,
            "block-cursor-blurred-foreground": foreground,
            "input-selection-background": f"{primary} 35%",
        },
    )


def _ansi(name: str, **variables: str) -> Theme:
    """The built-in theme without its dim text and with a border that shows on either ground."""
    built_in = BUILTIN_THEMES[name]
    own = {
        "text-muted": "ansi_default",
        "text-disabled": "ansi_default",
        "block-cursor-foreground": "ansi_default",
        "block-cursor-background": "ansi_default",
        "block-cursor-text-style": "reverse",
        "block-cursor-blurred-foreground": "ansi_default",
        "block-cursor-blurred-background": "ansi_default",
        "block-cursor-blurred-text-style": "bold",
        "footer-key-foreground": "ansi_blue",
        "border-blurred": "ansi_bright_black",
        **variables,
    }
    values = {name: value for name, value in vars(built_in).items() if name != "variables"}
    return Theme(**values, variables={**built_in.variables, **own})


THEMES: Final = (
    _own(
        DARK,
        True,
        "#0E1318 #151C23 #1C252E #E6EDF3 #6CB6FF #D2A8FF #57D28C #F0B72F #FF7B72 #6B7C8D",
        "#A3B1BF",
        "#0E1318",
    ),
    _own(
        LIGHT,
        False,
        "#FBFBF8 #F2F2ED #E7E7E0 #1A1F24 #0B5CAD #7A2FBF #116B3A #8A5300 #B3261E #727D89",
        "#4E5964",
        "#FBFBF8",
    ),
    _ansi(ANSI_DARK, **{"footer-key-foreground": "ansi_bright_blue", "text-primary": "ansi_bright_cyan"}),
    _ansi(ANSI_LIGHT),
)


def token_css() -> str:
    """The style sheet of the tokens: one component class each, colours by name only."""
    rules = [f".t-{name} {{ color: {colour}; text-style: {style}; }}" for name, (colour, style) in TOKENS.items()]
    return "\n".join(rules)
