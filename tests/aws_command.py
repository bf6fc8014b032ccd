"""An ``aws`` command line as AWS CLI 2 reads it, held against botocore's model of the service: nothing is sent.

Source: https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-shorthand.html; the names of commands and flags are
those of the model in lower case with dashes, as the CLI makes them.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

# Flags that every command has, each with one value.
GLOBAL = {"--region", "--profile", "--output", "--query"}
# What the CLI adds to the services' own operations: https://docs.aws.amazon.com/cli/latest/reference/.
OWN = {
    ("sso", "login"): {"--profile"},
    ("login",): {"--profile"},
    ("eks", "update-kubeconfig"): {"--name", "--region", "--profile"},
}
_TOKEN = re.compile(r'[\[\]{},=]|"(?:[^"\\]|\\.)*"|[^\[\]{},="]+')


class BadCommand(ValueError):
    """The CLI or the service would refuse it."""


@functools.cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def call(argv: Sequence[str]) -> tuple[str, str, dict[str, Any]]:
    """Service, operation and parameters of ``aws SERVICE OPERATION --flag value …``. Raises ``BadCommand``."""
    if argv[0] != "aws" or "" in argv:
        raise BadCommand(f"an empty word: {argv}")
    operation = _operation(argv[1], argv[2])
    shape = operation.input_shape
    members = {f"--{xform_name(name, '-')}": name for name in shape.members} if shape else {}
    given: dict[str, Any] = {}
    for flag, words in flags(argv[3:]):
        if flag in members and shape:
            given[members[flag]] = _value(shape.members[members[flag]], words)
        elif flag not in GLOBAL or len(words) != 1:
            raise BadCommand(f"{flag} {words}: not a flag of {operation.name}")
    report = ParamValidator().validate(given, shape) if shape else None
    if report is not None and report.has_errors():
        raise BadCommand(report.generate_report())
    return argv[1], operation.name, given


def check(argv: Sequence[str]) -> None:
    """Raises ``BadCommand`` for what neither a service nor the CLI itself knows."""
    for words, allowed in OWN.items():
        if tuple(argv[1 : 1 + len(words)]) == words:
            told = flags(argv[1 + len(words) :])
            if any(flag not in allowed or len(values) != 1 for flag, values in told):
                raise BadCommand(f"{argv}: {words} takes {sorted(allowed)}")
            return
    call(argv)


def flags(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each flag with the words that follow it."""
    found: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("-") and not word[1:].isdigit():
            found.append((word, []))
        elif not found:
            raise BadCommand(f"{word!r} belongs to no flag")
        else:
            found[-1][1].append(word)
    return found


def _operation(service: str, command: str) -> OperationModel:
    model = _model(service)
    for name in model.operation_names:
        if xform_name(name, "-") == command:
            return model.operation_model(name)
    raise BadCommand(f"{service} has no {command}")


def _value(shape: Shape, words: list[str]) -> Any:
    if shape.type_name == "list":
        return [_one(shape.member, word) for word in words]
    if len(words) != 1:
        raise BadCommand(f"one value is wanted, not {words}")
    return _one(shape, words[0])


def _one(shape: Shape, word: str) -> Any:
    if shape.type_name not in {"structure", "list", "map"}:
        return _typed(shape, word)
    shorthand = _Shorthand(word)
    found = shorthand.pairs(shape)
    shorthand.take("")
    return found


class _Shorthand:
    """``Key=value,Key=[{Key=value},…]`` of one word, read by the shapes that the values must have."""

    def __init__(self, word: str) -> None:
        self._tokens: list[str] = [*_TOKEN.findall(word), "", ""]
        self._at = 0
        if "".join(self._tokens) != word:
            raise BadCommand(f"{word} is no shorthand")

    @property
    def _next(self) -> str:
        return self._tokens[self._at]

    def take(self, token: str) -> None:
        """Step over this token, which must be there."""
        if self._next != token:
            raise BadCommand(f"{self._next!r} where {token!r} is wanted in {''.join(self._tokens)}")
        self._at += 1

    def pairs(self, shape: Any) -> dict[str, Any]:
        """``Key=value`` joined by commas."""
        found = {}
        while True:
            key = self._next
            if shape.type_name != "structure" or key not in shape.members:
                raise BadCommand(f"{shape.name} has no {key!r}")
            self._at += 1
            self.take("=")
            found[key] = self._value(shape.members[key])
            if self._next != ",":
                return found
            self.take(",")

    def _value(self, shape: Any) -> Any:
        if self._next == "{":
            self.take("{")
            found: Any = self.pairs(shape)
            self.take("}")
            return found
        if shape.type_name == "list":
            return self._list(shape.member)
        word = self._next
        self._at += 1
        return _typed(shape, word)

    def _list(self, member: Any) -> list[Any]:
        bracket = self._next == "["
        if bracket:
            self.take("[")
        found = [self._value(member)]
        # Without brackets a word is one more value unless it is the next key.
        while self._next == "," and (bracket or self._tokens[self._at + 2] != "="):
            self.take(",")
            found.append(self._value(member))
        if bracket:
            self.take("]")
        return found


def _typed(shape: Shape, word: str) -> Any:
    if word in {"", ",", "=", "{", "}", "[", "]"}:
        raise BadCommand(f"{word!r} is no value")
    text = re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word
    if shape.type_name in {"integer", "long"}:
        try:
            return int(text)
        except ValueError:
            raise BadCommand(f"{text!r} is no number") from None
    return text == "true" if shape.type_name == "boolean" else text
