"""What stands in the place of a part of the clouds that could not be read."""

from msgspec import Struct


class Unread(Struct, frozen=True):
    """A list that could not be read: never taken for an empty one.

    ``right`` is the action that is missing (``ec2:DescribeNetworkAcls``, ``Microsoft.Network/routeTables/read``),
    ``call`` what was asked, ``why`` the cloud's error code or, without one, a few words.
    """

    right: str
    call: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"needs {self.right}" + (f" ({self.why})" if self.why else "")
