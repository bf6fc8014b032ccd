"""What an API server says about a body that is no JSON: the words of Go's decoder (encoding/json, scanner.go)."""

from typing import Final

_BLANK: Final = frozenset(b" \t\r\n")
_LITERALS: Final = {ord("t"): "true", ord("f"): "false", ord("n"): "null"}
_NUMBER: Final = frozenset(b"-+.eE0123456789")


class _Complaint(Exception):
    pass


class _Scanner:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def peek(self) -> int:
        while self.at < len(self.body) and self.body[self.at] in _BLANK:
            self.at += 1
        if self.at >= len(self.body):
            raise _Complaint("unexpected end of JSON input")
        return self.body[self.at]

    def fail(self, where: str) -> _Complaint:
        return _Complaint(f"invalid character {_quoted(self.body[self.at])} {where}")

    def value(self) -> None:
        first = self.peek()
        if first == ord("{"):
            self.members()
        elif first == ord("["):
            self.elements()
        elif first == ord('"'):
            self.string()
        elif first in _LITERALS:
            self.literal(_LITERALS[first])
        elif first in b"-0123456789":
            while self.at < len(self.body) and self.body[self.at] in _NUMBER:
                self.at += 1
        else:
            raise self.fail("looking for beginning of value")

    def members(self) -> None:
        self.at += 1
        if self.peek() == ord("}"):
            self.at += 1
            return
        while True:
            if self.peek() != ord('"'):
                raise self.fail("looking for beginning of object key string")
            self.string()
            if self.peek() != ord(":"):
                raise self.fail("after object key")
            self.at += 1
            self.value()
            sign = self.peek()
            if sign not in b",}":
                raise self.fail("after object key:value pair")
            self.at += 1
            if sign == ord("}"):
                return

    def elements(self) -> None:
        self.at += 1
        if self.peek() == ord("]"):
            self.at += 1
            return
        while True:
            self.value()
            sign = self.peek()
            if sign not in b",]":
                raise self.fail("after array element")
            self.at += 1
            if sign == ord("]"):
                return

    def string(self) -> None:
        self.at += 1
        while True:
            if self.at >= len(self.body):
                raise _Complaint("unexpected end of JSON input")
            sign = self.body[self.at]
            if sign < 0x20:
                raise self.fail("in string literal")
            self.at += 2 if sign == ord("\\") else 1
            if sign == ord('"'):
                return

    def literal(self, word: str) -> None:
        for position in range(1, len(word)):
            self.at += 1
            if self.at >= len(self.body):
                raise _Complaint("unexpected end of JSON input")
            if self.body[self.at] != ord(word[position]):
                raise self.fail(f"in literal {word} (expecting {_quoted(ord(word[position]))})")
        self.at += 1


def _quoted(sign: int) -> str:
    if sign == ord("'"):
        return r"'\''"
    if sign == ord('"'):
        return "'\"'"
    return f"'{chr(sign)}'" if 0x20 <= sign < 0x7F else f"'\\u{sign:04x}'" if sign >= 0x80 else f"'\\x{sign:02x}'"


def complaint(body: bytes) -> str:
    """Why the bytes are no JSON; empty where the scanner finds nothing wrong."""
    scanner = _Scanner(body)
    try:
        scanner.value()
        while scanner.at < len(body):
            if body[scanner.at] not in _BLANK:
                raise scanner.fail("after top-level value")
            scanner.at += 1
    except _Complaint as found:
        return str(found)
    return ""


def shown(body: bytes) -> str:
    """The beginning of a body as a complaint quotes it."""
    if not body:
        return "<empty>"
    head = body[:30]
    text = head.decode(errors="replace") if body.lstrip().startswith(b"{") else head.hex()
    return f"{text} ..." if len(body) > 30 else text
