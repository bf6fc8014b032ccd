"""What the engine thread tells the app. Each message carries data only."""

from typing import Any

from textual.message import Message


class EventsReady(Message):
    """Events wait in the bridge; one message stands for any number of them."""

    def can_replace(self, message: Message) -> bool:
        """A later one says nothing new."""
        return isinstance(message, EventsReady)


class JobEnded(Message):
    """Work handed to the engine has ended; ``serial`` tells this try from later ones of the same name."""

    def __init__(self, job: str, serial: int) -> None:
        super().__init__()
        self.job = job
        self.serial = serial


class JobDone(JobEnded):
    """It ended well."""

    def __init__(self, job: str, serial: int, result: Any) -> None:
        super().__init__(job, serial)
        self.result = result


class JobFailed(JobEnded):
    """It raised; ``what`` says what it was, as in "reading facts"."""

    def __init__(self, job: str, serial: int, what: str, error: Exception) -> None:
        super().__init__(job, serial)
        self.what = what
        self.error = error


class JobCancelled(JobEnded):
    """It was stopped."""
