"""Azure resource ids: what a request path names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArmPath:
    """``/subscriptions/S[/resourceGroups/G]/providers/N/type/name/…``. ``segments`` are what follows the namespace."""

    subscription: str
    group: str
    namespace: str
    segments: tuple[str, ...]

    @property
    def types(self) -> tuple[str, ...]:
        """The type names: every other segment from the first."""
        return self.segments[0::2]

    @property
    def names(self) -> tuple[str, ...]:
        """The names: every other segment from the second."""
        return self.segments[1::2]

    @property
    def is_collection(self) -> bool:
        """Whether it names a list of resources and not one."""
        return len(self.segments) % 2 == 1

    @property
    def type(self) -> str:
        """``Namespace/type/childType`` as written in the path."""
        return "/".join((self.namespace, *self.types))

    @property
    def type_key(self) -> str:
        """The type in lower case."""
        return self.type.lower()

    @property
    def scope(self) -> str:
        """The subscription or the resource group."""
        return f"/subscriptions/{self.subscription}" + (f"/resourceGroups/{self.group}" if self.group else "")

    @property
    def id(self) -> str:
        """The whole path."""
        if not self.namespace:
            return self.scope
        return "/".join((self.scope, "providers", self.namespace, *self.segments))

    @property
    def key(self) -> str:
        """The id in lower case: ids compare case-insensitively."""
        return self.id.lower()

    def cut(self, count: int) -> "ArmPath":
        """The path with only its first ``count`` segments."""
        return ArmPath(self.subscription, self.group, self.namespace, self.segments[:count])


def parse(path: str) -> ArmPath | None:
    """The parts of an id, or None where it is none."""
    words = [word for word in path.split("/") if word]
    if len(words) < 2 or words[0].lower() != "subscriptions":
        return None
    subscription, rest = words[1], words[2:]
    group = ""
    if len(rest) >= 2 and rest[0].lower() == "resourcegroups":
        group, rest = rest[1], rest[2:]
    if not rest:
        return ArmPath(subscription, group, "", ())
    if len(rest) < 3 or rest[0].lower() != "providers":
        return None
    return ArmPath(subscription, group, rest[1], tuple(rest[2:]))


def last(identifier: str) -> str:
    """The name at the end of an id."""
    return identifier.rstrip("/").rpartition("/")[2]
