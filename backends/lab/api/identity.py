"""Who calls: bearer tokens and client certificates, and the groups behind them."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as the API server sees it; ``extra`` as in ``UserInfo``."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = Identity("system:anonymous", ("system:unauthenticated",))
ADMIN = Identity("kubernetes-admin", ("system:masters",))


@dataclass(slots=True)
class _Token:
    identity: Identity
    valid_until: float | None


class Identities:
    """Bearer tokens of a cluster, each with an identity and, where it has one, a lab time at which it ends."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tokens: dict[str, _Token] = {}

    def add(self, token: str, identity: Identity, valid_until: float | None = None) -> None:
        """Accept a token; ``valid_until`` is lab time in epoch seconds."""
        self._tokens[token] = _Token(identity, valid_until)

    def issue(self, identity: Identity, valid_until: float | None = None) -> str:
        """A new random token for an identity."""
        token = secrets.token_urlsafe(32)
        self.add(token, identity, valid_until)
        return token

    def first(self) -> str:
        """The token that was accepted first, or ""."""
        return next(iter(self._tokens), "")

    def all(self) -> dict[str, Identity]:
        """Every token with its identity, ended ones too."""
        return {token: held.identity for token, held in self._tokens.items()}

    def revoke(self, token: str) -> None:
        """Stop accepting a token."""
        self._tokens.pop(token, None)

    def revoke_all(self) -> None:
        """Stop accepting every token."""
        self._tokens.clear()

    def of_token(self, token: str) -> Identity | None:
        """The identity behind a token, or None where it is unknown or has ended."""
        held = self._tokens.get(token)
        if held is None or (held.valid_until is not None and held.valid_until <= self._now()):
            return None
        identity = held.identity
        if "system:authenticated" in identity.groups:
            return identity
        return Identity(identity.name, (*identity.groups, "system:authenticated"), identity.uid, identity.extra)
