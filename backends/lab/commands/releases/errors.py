"""Why an operation on a release did not happen; the texts are helm's, without the command's prefix."""

from collections.abc import Sequence


class ReleaseError(Exception):
    """An operation on a release failed or was refused; ``str()`` is helm's text."""


class NotFound(ReleaseError):
    """No such release or revision."""

    def __init__(self) -> None:
        super().__init__("release: not found")


class NoDeployed(ReleaseError):
    """A release has no revision in force."""

    def __init__(self, name: str) -> None:
        super().__init__(f'"{name}" has no deployed releases')


class AlreadyExists(ReleaseError):
    """The revision's Secret is there: somebody else makes the same revision at this moment."""

    def __init__(self) -> None:
        super().__init__("release: already exists")


class Busy(ReleaseError):
    """An earlier operation on the release never ended."""

    def __init__(self) -> None:
        super().__init__("another operation (install/upgrade/rollback) is in progress")


class NameInUse(ReleaseError):
    """An install over a release."""

    def __init__(self) -> None:
        super().__init__("cannot re-use a name that is still in use")


class Cancelled(ReleaseError):
    """SIGINT or SIGTERM came while objects were being written."""

    def __init__(self) -> None:
        super().__init__("context canceled")


def occurred(errors: Sequence[object]) -> str:
    """Several errors as one text, as helm collects those of requests that it sends side by side."""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"{count} occurred:\n" + "".join(f"\t* {error}\n" for error in errors) + "\n"
