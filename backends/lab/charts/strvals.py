"""``--set`` and ``--set-string`` assignments as helm reads them: ``a.b=1,c={x,y},d[0].e=z`` with backslash escapes."""

from collections.abc import Callable
from typing import Any

MAX_INDEX = 65536


class AssignmentError(ValueError):
    """An assignment that helm refuses; the text is helm's, without its ``failed parsing --set data: `` prefix."""


def assign(
    line: str, tree: dict[str, Any], *, strings: bool = False, value_of: Callable[[str], Any] | None = None
) -> None:
    """Apply one ``--set`` (or, with ``strings``, one ``--set-string``) argument to ``tree``.

    ``value_of`` makes the value of a word otherwise: with ``--set-file`` a word names a file.
    """
    reader = _Reader(line, value_of or (_as_string if strings else _as_typed))
    while not reader.done():
        reader.assignment(tree)


def _as_string(word: str) -> Any:
    return word


def _as_typed(word: str) -> Any:
    folded = word.lower()
    if folded in ("true", "false"):
        return folded == "true"
    if folded == "null":
        return None
    if word == "0":
        return 0
    sign = word[:1] in ("+", "-")
    digits = word[1:] if sign else word
    if digits.isascii() and digits.isdigit() and not word.startswith("0"):
        return int(word)
    return word


class _Reader:
    def __init__(self, line: str, value_of: Callable[[str], Any]) -> None:
        self.line = line
        self.at = 0
        self.value_of = value_of

    def done(self) -> bool:
        return self.at >= len(self.line)

    def until(self, stops: str) -> tuple[str, str]:
        """The word before the next stop and that stop (empty at the end of the line)."""
        word: list[str] = []
        while not self.done():
            char = self.line[self.at]
            self.at += 1
            if char in stops:
                return "".join(word), char
            if char == "\\" and not self.done():
                char = self.line[self.at]
                self.at += 1
            word.append(char)
        return "".join(word), ""

    def assignment(self, table: dict[str, Any]) -> None:
        key, stop = self.until("=[,.")
        if stop == "":
            if key:
                raise AssignmentError(f'key "{key}" has no value')
        elif stop == ",":
            raise AssignmentError(f'key "{key}" has no value (cannot end with ,)')
        elif stop == "=":
            value = self.value()
            if key:
                table[key] = value
        elif stop == "[":
            held = table.get(key)
            table[key] = self.element(list(held) if isinstance(held, list) else [])
        else:
            held = table.get(key)
            inner: dict[str, Any] = held if isinstance(held, dict) else {}
            self.assignment(inner)
            if not inner:
                raise AssignmentError(f'key map "{key}" has no value')
            table[key] = inner

    def element(self, items: list[Any]) -> list[Any]:
        index = self.index()
        word, stop = self.until("[.=")
        if word:
            raise AssignmentError(f'unexpected data at end of array index: "{word}"')
        held = items[index] if index < len(items) else None
        value: Any
        if stop == "=":
            value = self.value()
        elif stop == "[":
            value = self.element(list(held) if isinstance(held, list) else [])
        else:
            value = held if isinstance(held, dict) else {}
            self.assignment(value)
        items.extend([None] * (index + 1 - len(items)))
        items[index] = value
        return items

    def index(self) -> int:
        word, _ = self.until("]")
        try:
            index = int(word)
        except ValueError:
            raise AssignmentError(f'error parsing index: strconv.Atoi: parsing "{word}": invalid syntax') from None
        if index < 0:
            raise AssignmentError(f"negative {index} index not allowed")
        if index > MAX_INDEX:
            raise AssignmentError(f"index of {index} is greater than maximum supported index of {MAX_INDEX}")
        return index

    def value(self) -> Any:
        if not self.line.startswith("{", self.at):
            word, _ = self.until(",")
            return self.value_of(word)
        self.at += 1
        items: list[Any] = []
        while True:
            word, stop = self.until(",}")
            if stop == "":
                raise AssignmentError("list must terminate with '}'")
            items.append(self.value_of(word))
            if stop == "}":
                if self.line.startswith(",", self.at):
                    self.at += 1
                return items
