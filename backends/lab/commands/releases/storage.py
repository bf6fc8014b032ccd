"""Where releases are kept: Secrets of type ``helm.sh/release.v1`` in the release's namespace."""

from contextlib import suppress

from backends.lab.commands.kube.kinds import SECRET
from backends.lab.commands.kube.port import ApiFailure, Port, Unreachable
from backends.lab.commands.releases.errors import AlreadyExists, NoDeployed, NotFound
from backends.lab.commands.releases.record import (
    DEPLOYED,
    SECRET_TYPE,
    Release,
    from_secret,
    secret_name,
    to_secret,
)


class Storage:
    """Releases of one namespace (all for ``list`` with ``namespace=None``)."""

    def __init__(self, port: Port, namespace: str, history_max: int = 10) -> None:
        self.port = port
        self.namespace = namespace
        self.history_max = history_max

    def history(self, name: str) -> list[Release]:
        """All revisions, oldest first; raises ``NotFound``."""
        found = self._query({"name": name, "owner": "helm"})
        if not found:
            raise NotFound
        return found

    def last(self, name: str) -> Release:
        """The newest revision, whatever its status; raises ``NotFound``."""
        return self.history(name)[-1]

    def get(self, name: str, revision: int = 0) -> Release:
        """One revision, the newest for 0; raises ``NotFound``."""
        if not revision:
            return self.last(name)
        secret = self.port.get(SECRET, self.namespace, secret_name(name, revision))
        if secret is None:
            raise NotFound
        return from_secret(secret)

    def deployed(self, name: str) -> Release:
        """The newest revision in force; raises ``NoDeployed``."""
        found = self._query({"name": name, "owner": "helm", "status": DEPLOYED})
        if not found:
            raise NoDeployed(name)
        return found[-1]

    def all_deployed(self, name: str) -> list[Release]:
        """Every revision that calls itself deployed."""
        return self._query({"name": name, "owner": "helm", "status": DEPLOYED})

    def everything(self, namespace: str | None) -> list[Release]:
        """All revisions of all releases."""
        return self._query({"owner": "helm"}, namespace)

    def create(self, release: Release) -> None:
        """Write a new revision, after making room in the history."""
        self._forget_old(release.name)
        try:
            self.port.create(SECRET, to_secret(release, ("createdAt", self.port.now())))
        except ApiFailure as error:
            if error.exists:
                raise AlreadyExists from error
            raise ApiFailure(error.code, error.reason, f"create: failed to create: {error}") from error

    def update(self, release: Release) -> None:
        """Write a revision's new status."""
        try:
            self.port.replace(SECRET, to_secret(release, ("modifiedAt", self.port.now())))
        except ApiFailure as error:
            raise ApiFailure(error.code, error.reason, f"update: failed to update: {error}") from error

    def note(self, release: Release) -> None:
        """Write a revision's new status if that is possible: helm goes on without."""
        with suppress(ApiFailure, Unreachable):
            self.update(release)

    def delete(self, release: Release) -> None:
        """Remove a revision."""
        self.port.delete(SECRET, self.namespace, secret_name(release.name, release.revision))

    def _query(self, labels: dict[str, str], namespace: str | None = "") -> list[Release]:
        place = self.namespace if namespace == "" else namespace
        try:
            secrets = self.port.list(SECRET, place, labels)
        except ApiFailure as error:
            prefix = "list: failed to list" if "name" not in labels else "query: failed to query with labels"
            raise ApiFailure(error.code, error.reason, f"{prefix}: {error}") from error
        found = [from_secret(secret) for secret in secrets if secret.get("type", SECRET_TYPE) == SECRET_TYPE]
        return sorted(found, key=lambda release: (release.namespace, release.name, release.revision))

    def _forget_old(self, name: str) -> None:
        """Keep room for one more revision below the limit; what is in force is never dropped."""
        if self.history_max <= 0:
            return
        found = self._query({"name": name, "owner": "helm"})
        surplus = len(found) - (self.history_max - 1)
        in_force = max((release.revision for release in found if release.status == DEPLOYED), default=-1)
        for release in found:
            if surplus <= 0:
                return
            if release.revision != in_force:
                self.delete(release)
                surplus -= 1
