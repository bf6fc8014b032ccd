"""Answers in AWS's own shapes: errors of EC2, of the query services and of EKS, and the caller's identity."""

import json
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

_NAMESPACES: Final = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "elasticloadbalancing": "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error before it is put into a service's shape."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = "text/xml;charset=UTF-8"
    headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """The status line's words."""
        return HTTPStatus(self.status).phrase


def failure(service: str, error: Failure) -> Answer:
    """The error as the service writes it."""
    request = str(uuid.uuid4())
    code, message = escape(error.code), escape(error.message)
    if service == "eks":
        body = json.dumps({"message": error.message}).encode()
        headers = [("x-amzn-ErrorType", error.code), ("x-amzn-RequestId", request)]
        return Answer(error.status, body, "application/json", headers)
    if service == "ec2":
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request}</RequestID></Response>"
        )
        return Answer(error.status, text.encode())
    text = (
        f'<ErrorResponse xmlns="{_NAMESPACES.get(service, "")}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>{request}</RequestId></ErrorResponse>"
    )
    return Answer(error.status, text.encode())


def own(service: str, action: str, who: dict[str, str]) -> Answer | None:
    """The answer where the lab and not moto knows it: who the caller is."""
    if service != "sts" or action != "GetCallerIdentity":
        return None
    text = (
        f'<GetCallerIdentityResponse xmlns="{_NAMESPACES["sts"]}"><GetCallerIdentityResult>'
        f"<Arn>{escape(who['arn'])}</Arn><UserId>{escape(who['id'])}</UserId><Account>{who['account']}</Account>"
        f"</GetCallerIdentityResult><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    return Answer(200, text.encode())


def unknown_key(service: str) -> Failure:
    """The caller's keys are none of this account's."""
    if service == "ec2":
        return Failure(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
    if service == "eks":
        return Failure(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    return Failure(403, "InvalidClientTokenId", "The security token included in the request is invalid.")


def expired(service: str) -> Failure:
    """The caller's temporary keys have ended."""
    if service == "ec2":
        return Failure(400, "RequestExpired", "Request has expired.")
    if service == "eks":
        return Failure(403, "ExpiredTokenException", "The security token included in the request is expired")
    return Failure(403, "ExpiredToken", "The security token included in the request is expired")


def throttled(service: str) -> Failure:
    """Too many requests."""
    if service == "ec2":
        return Failure(503, "RequestLimitExceeded", "Request limit exceeded.")
    if service == "eks":
        return Failure(429, "ThrottlingException", "Rate exceeded")
    return Failure(400, "Throttling", "Rate exceeded")


def denied(service: str, action: str, arn: str) -> Failure:
    """No policy allows the action."""
    why = f"because no identity-based policy allows the {action} action"
    reason = f"User: {arn} is not authorized to perform: {action} {why}"
    if service == "ec2":
        return Failure(403, "UnauthorizedOperation", f"You are not authorized to perform this operation. {reason}")
    if service == "eks":
        return Failure(403, "AccessDeniedException", reason)
    return Failure(403, "AccessDenied", reason)


def no_such_action(service: str, action: str) -> Failure:
    """The lab does not have this action."""
    if service == "eks":
        return Failure(404, "NotFoundException", f"{action}: no such route in this lab")
    return Failure(400, "InvalidAction", f"The action {action} is not valid for this web service.")


def internal(service: str) -> Failure:
    """Something broke on the other side."""
    code = {"ec2": "InternalError", "eks": "ServerException"}.get(service, "InternalFailure")
    return Failure(500, code, "An internal error has occurred")
