"""The HTTP side of Azure Resource Manager: who may, which resource, pages, long-running operations, errors."""

from typing import Any, Final

from aiohttp import web

from backends.lab.clock import LabClock
from backends.lab.clouds.azure import actions, errors, rendering, writing
from backends.lab.clouds.azure.errors import ArmError
from backends.lab.clouds.azure.operations import Operation, Operations
from backends.lab.clouds.azure.paths import ArmPath, parse
from backends.lab.clouds.azure.subscription import AzureSubscription
from backends.lab.clouds.logins import ARM_RESOURCE

_VERBS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}


class ArmServer:
    """Serves one subscription. ``endpoint`` is ``http://127.0.0.1:PORT`` once started."""

    def __init__(self, subscription: AzureSubscription, clock: LabClock, spawn: Any) -> None:
        self.subscription = subscription
        self.operations = Operations(clock, spawn, subscription.new_guid)
        self.endpoint = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free loopback port."""
        application = web.Application(client_max_size=4 << 20)
        application.router.add_route("*", "/{path:.*}", self.handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.endpoint = f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        common = {
            "x-ms-request-id": self.subscription.new_guid(),
            "x-ms-correlation-request-id": request.headers.get("x-ms-client-request-id", ""),
        }
        try:
            response = await self._answer(request)
        except ArmError as error:
            response = web.json_response(error.body(), status=error.status, headers=error.headers)
        response.headers.update(common)
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self._authenticate(request)
        if "api-version" not in request.query:
            raise errors.bad(
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if self.subscription.throttled > 0:
            self.subscription.throttled -= 1
            raise ArmError(429, "TooManyRequests", "The request is being throttled.", self._retry)
        if request.path.strip("/").lower() == "subscriptions":
            return web.json_response({"value": [self._itself()]})
        if request.path.lower() == f"/subscriptions/{self.subscription.id}/resourcegroups":
            return web.json_response({"value": list(self.subscription.groups.values())})
        path = parse(request.path)
        if path is None:
            raise ArmError(404, "InvalidResourceType", f"The path '{request.path}' is not known.")
        if path.subscription.lower() != self.subscription.id.lower():
            raise errors.subscription_not_found(path.subscription)
        polled = self._polled(path)
        if polled is not None:
            return polled
        if not path.namespace:
            return self._scope(request, path)
        return await self._resource(request, path)

    # -- who may -------------------------------------------------------------------------------------------------

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        tenant = self.subscription.tenant
        if scheme.lower() != "bearer" or not token:
            text = "Authentication failed. The 'Authorization' header is missing."
            raise ArmError(401, "AuthenticationFailed", text, errors.challenge(tenant, "invalid_token", text))
        login = self.subscription.logins.azure()
        if token != login["tokens"][ARM_RESOURCE]:
            text = "The access token is invalid."
            raise ArmError(401, "InvalidAuthenticationToken", text, errors.challenge(tenant, "invalid_token", text))
        if login["tenant"] != tenant:
            text = (
                f"The access token is from the wrong issuer '{login['tenant']}'. It must match the tenant '{tenant}'."
            )
            headers = errors.challenge(tenant, "invalid_token", text)
            raise ArmError(401, "InvalidAuthenticationTokenTenant", text, headers)
        if not login["valid"]:
            text = "The access token expiry UTC time is earlier than current UTC time."
            raise ArmError(401, "ExpiredAuthenticationToken", text, errors.challenge(tenant, "invalid_token", text))

    def _authorize(self, action: str, path: ArmPath) -> None:
        login = self.subscription.logins.azure()
        who = (str(login["user"]), str(login["object_id"]))
        if self.subscription.is_denied(action):
            raise errors.denied(*who, action, path.id)
        changes = not action.endswith("/read")
        if changes and path.group.lower() in self.subscription.locked_groups:
            raise errors.locked(*who, action, path.id)

    # -- scopes --------------------------------------------------------------------------------------------------

    def _itself(self) -> dict[str, Any]:
        held = self.subscription
        return {
            "id": f"/subscriptions/{held.id}",
            "subscriptionId": held.id,
            "tenantId": held.tenant,
            "displayName": held.name,
            "state": "Enabled",
        }

    def _scope(self, request: web.Request, path: ArmPath) -> web.Response:
        words = [word for word in request.path.split("/") if word]
        if request.method != "GET":
            raise ArmError(405, "MethodNotAllowed", "Subscriptions and resource groups are read-only here.")
        if len(words) == 2:
            return web.json_response(self._itself())
        group = self.subscription.groups.get(path.group.lower())
        if group is None:
            raise errors.group_not_found(path.group)
        return web.json_response(group)

    def _polled(self, path: ArmPath) -> web.Response | None:
        types = [word.lower() for word in path.types]
        if len(types) != 2 or types[0] != "locations" or types[1] not in ("operations", "operationresults"):
            return None
        operation = self.operations.get(path.names[1]) if len(path.names) == 2 else None
        if operation is None:
            raise ArmError(404, "OperationNotFound", f"The operation '{path.segments[-1]}' was not found.")
        if types[1] == "operations":
            waiting = {} if operation.status != "InProgress" else self._retry
            return web.json_response(operation.body(), headers=waiting)
        if operation.status == "InProgress":
            return web.Response(status=202, headers={**self._retry, "Location": self._url(path.id)})
        if operation.error is not None:
            raise operation.error
        if operation.result is None:
            return web.Response(status=204)
        return web.json_response(operation.result)

    # -- resources -----------------------------------------------------------------------------------------------

    async def _resource(self, request: web.Request, path: ArmPath) -> web.StreamResponse:
        if path.group and path.group.lower() not in self.subscription.groups:
            raise errors.group_not_found(path.group)
        method = request.method
        if method == "POST":
            return self._action(request, path)
        if method not in _VERBS:
            raise ArmError(405, "MethodNotAllowed", f"The method {method} is not allowed.")
        self._authorize(f"{path.type}/{_VERBS[method]}", path)
        if method in ("GET", "HEAD"):
            return self._list(request, path) if path.is_collection else self._get(request, path)
        if path.is_collection:
            raise ArmError(405, "MethodNotAllowed", f"The method {method} is not allowed on a list.")
        if self.subscription.busy > 0:
            self.subscription.busy -= 1
            text = f"Another operation on this or dependent resource is in progress: {path.id}."
            raise ArmError(409, "AnotherOperationInProgress", text)
        if method == "DELETE":
            return self._delete(path)
        return await self._write(request, path)

    @property
    def _retry(self) -> dict[str, str]:
        return {"Retry-After": str(self.subscription.retry_after)}

    def _get(self, request: web.Request, path: ArmPath) -> web.Response:
        found = rendering.single(self.subscription, path, request.query.get("$expand", ""))
        if found is None:
            raise errors.not_found(path)
        return web.json_response(found)

    def _list(self, request: web.Request, path: ArmPath) -> web.Response:
        found = rendering.collection(self.subscription, path)
        if found is None:
            raise errors.not_found(path.cut(len(path.segments) - 1))
        start = int(request.query.get("$skiptoken", "0") or 0)
        page = found[start : start + self.subscription.page_size]
        answer: dict[str, Any] = {"value": page}
        following = start + len(page)
        if following < len(found):
            version = request.query["api-version"]
            answer["nextLink"] = f"{self.endpoint}{request.path}?api-version={version}&$skiptoken={following}"
        return web.json_response(answer)

    async def _write(self, request: web.Request, path: ArmPath) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            raise errors.bad("InvalidRequestContent", "The request content was invalid JSON.") from None
        there = self.subscription.find(path) is not None
        prepare = writing.prepare_patch if request.method == "PATCH" else writing.prepare_put
        if request.headers.get("If-None-Match") == "*" and there:
            raise ArmError(412, "PreconditionFailed", f"Precondition If-None-Match failed: {path.id} exists.")
        shown, work = prepare(self.subscription, path, body)
        operation = self.operations.begin(str(shown.get("location") or "global"), writing.seconds(path), work)
        headers = self._headers(path, operation, location=False)
        return web.json_response(shown, status=200 if there else 201, headers=headers)

    def _delete(self, path: ArmPath) -> web.Response:
        if self.subscription.find(path) is None:
            return web.Response(status=204)
        work = writing.prepare_delete(self.subscription, path)
        operation = self.operations.begin("global", writing.seconds(path), work)
        return web.Response(status=202, headers=self._headers(path, operation, location=True))

    def _action(self, request: web.Request, path: ArmPath) -> web.Response:
        if not path.is_collection:
            raise ArmError(405, "MethodNotAllowed", "The method POST is not allowed here.")
        target = path.cut(len(path.segments) - 1)
        action = path.segments[-1]
        self._authorize(f"{target.type}/{action}/action", target)
        peer = request.query.get("peer", "")
        # Judged now for what is refused at once, and again at the end for what is true then.
        found = actions.perform(self.subscription, target, action, peer)
        if action.lower() in actions.AT_ONCE:
            return web.json_response(found)
        operation = self.operations.begin(
            "global", 2.0, lambda: actions.perform(self.subscription, target, action, peer)
        )
        return web.Response(status=202, headers=self._headers(target, operation, location=True))

    def _headers(self, path: ArmPath, operation: Operation, *, location: bool) -> dict[str, str]:
        base = f"/subscriptions/{path.subscription}/providers/{path.namespace}/locations/{operation.location}"
        headers = {**self._retry, "Azure-AsyncOperation": self._url(f"{base}/operations/{operation.id}")}
        if location:
            headers["Location"] = self._url(f"{base}/operationResults/{operation.id}")
        return headers

    def _url(self, path: str) -> str:
        return f"{self.endpoint}{path}?api-version=2022-09-01"
