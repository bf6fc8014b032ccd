"""Who calls: a bearer token, else a client certificate, else nobody; and impersonation, where it is allowed."""

import hashlib

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from backends.lab.api.authorizer import Attributes, Authorizer, denial
from backends.lab.api.identity import ANONYMOUS, Identity
from backends.lab.cluster import LabCluster
from backends.lab.storage.status import ApiError, unauthorized

_AUTHENTICATED = "system:authenticated"


def identify(
    cluster: LabCluster, request: web.BaseRequest, certificate: x509.Certificate | None, authorizer: Authorizer
) -> Identity:
    """The user of a request. Raises ``ApiError`` 401 for an unknown or ended token, 403 for an impersonation."""
    who = _authenticated(cluster, request, certificate)
    return _impersonated(who, request, authorizer)


def _authenticated(cluster: LabCluster, request: web.BaseRequest, certificate: x509.Certificate | None) -> Identity:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        who = cluster.identities.of_token(token.strip())
        if who is None:
            raise unauthorized()
        return who
    if certificate is not None:
        return _of_certificate(certificate)
    return ANONYMOUS


def _of_certificate(certificate: x509.Certificate) -> Identity:
    def values(oid: x509.ObjectIdentifier) -> list[str]:
        return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]

    digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
    extra = {"authentication.kubernetes.io/credential-id": (f"X509SHA256={digest}",)}
    groups = (*values(NameOID.ORGANIZATION_NAME), _AUTHENTICATED)
    return Identity("".join(values(NameOID.COMMON_NAME)[:1]), groups, extra=extra)


def _impersonated(who: Identity, request: web.BaseRequest, authorizer: Authorizer) -> Identity:
    user = request.headers.get("Impersonate-User", "")
    groups = tuple(request.headers.getall("Impersonate-Group", []))
    if not user:
        if groups or request.headers.get("Impersonate-Uid"):
            raise ApiError(500, "InternalError", "Internal error occurred: requested impersonation without a user")
        return who
    for resource, name in [("users", user), *(("groups", group) for group in groups)]:
        what = Attributes("impersonate", "", resource, name=name)
        if not authorizer.allows(who, what):
            message = f'{resource} "{name}" is forbidden: {denial(who, what)}'
            raise ApiError(403, "Forbidden", message, {"name": name, "kind": resource})
    account = user.split(":")
    if user.startswith("system:serviceaccount:") and len(account) == 4 and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[2]}")
    return Identity(user, groups if _AUTHENTICATED in groups else (*groups, _AUTHENTICATED))
