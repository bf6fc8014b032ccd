"""Logins to the lab's clouds, as files that the stand-ins of ``aws``, ``az`` and ``kubelogin`` read and write.

The files are the only truth: a login that a command has renewed is valid for the clouds' APIs from then on.
"""

import base64
import json
import os
import random
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from backends.lab.api.identity import Identity
from backends.lab.cluster import LabCluster

AKS_SERVER_ID: Final = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""The Entra application of every AKS API server, the ``--server-id`` of kubelogin."""

ARM_RESOURCE: Final = "https://management.azure.com"
_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Logins:
    """All logins of one lab, one JSON file each in ``folder`` (0700; files 0600)."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self._rng = rng
        # Keys and tokens open a lab: nobody shall guess them from its seed.
        self._secret = random.SystemRandom()
        self._read: dict[str, tuple[int, dict[str, Any]]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    # -- AWS -----------------------------------------------------------------------------------------------------

    def add_aws(
        self, profile: str, account: str, region: str, *, role: str = "MeshOperator", user: str = "operator"
    ) -> None:
        """A signed-in SSO profile with temporary keys of ``role`` in ``account``."""
        letters = self._secret.choices(_BASE32, k=16)
        session = self._secret.randbytes(192)
        self._write(
            f"aws-{profile}",
            {
                "profile": profile,
                "account": account,
                "region": region,
                "role": role,
                "user": user,
                "start_url": "https://mesh-lab.awsapps.com/start",
                "access_key": "ASIA" + "".join(letters),
                "secret_key": base64.b64encode(self._secret.randbytes(30)).decode(),
                "session_token": base64.b64encode(session).decode(),
                "valid": True,
                "tokens": {},
            },
        )

    def aws(self, profile: str) -> Mapping[str, Any]:
        """The state of a profile's login. Raises ``KeyError``."""
        return self._get(f"aws-{profile}")

    def aws_profiles(self) -> list[str]:
        """Names of the profiles."""
        return [path.stem.removeprefix("aws-") for path in sorted(self.folder.glob("aws-*.json"))]

    def by_access_key(self, access_key: str) -> Mapping[str, Any] | None:
        """The login whose temporary keys these are."""
        for profile in self.aws_profiles():
            login = self.aws(profile)
            if login["access_key"] == access_key:
                return login
        return None

    def grant_eks(self, cluster: LabCluster, profile: str, identity: Identity) -> str:
        """Let ``aws eks get-token`` of this profile give a token that the API server takes for ``identity``."""
        login = dict(self.aws(profile))
        query = (
            f"https://sts.{cluster.region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
            f"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={login['access_key']}%2F{cluster.region}%2Fsts%2F"
            "aws4_request&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"
            f"&X-Amz-Signature={self._secret.randbytes(32).hex()}&x-k8s-aws-id={cluster.cloud_name}"
        )
        token = "k8s-aws-v1." + base64.urlsafe_b64encode(query.encode()).decode().rstrip("=")
        login["tokens"] = {**login["tokens"], cluster.cloud_name: token}
        self._write(f"aws-{profile}", login)
        cluster.identities.add(token, identity)
        return token

    # -- Azure ---------------------------------------------------------------------------------------------------

    def add_azure(self, tenant: str, subscriptions: Iterable[tuple[str, str]], *, user: str) -> None:
        """A signed-in user of ``tenant``; ``subscriptions`` are (id, name), the first being the default."""
        rows = [
            {
                "id": identifier,
                "name": name,
                "state": "Enabled",
                "tenantId": tenant,
                "isDefault": index == 0,
                "environmentName": "AzureCloud",
                "homeTenantId": tenant,
                "managedByTenants": [],
                "user": {"name": user, "type": "user"},
            }
            for index, (identifier, name) in enumerate(subscriptions)
        ]
        object_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        login = {"tenant": tenant, "user": user, "object_id": object_id, "subscriptions": rows, "valid": True}
        tokens = {audience: self._jwt(login, audience) for audience in (ARM_RESOURCE, AKS_SERVER_ID)}
        self._write("azure", {**login, "tokens": tokens})

    def azure(self) -> Mapping[str, Any]:
        """The state of the Azure login. Raises ``KeyError``."""
        return self._get("azure")

    def grant_aks(self, cluster: LabCluster, identity: Identity) -> str:
        """Let the token that ``kubelogin get-token`` gives be ``identity`` for the cluster's API server."""
        token = str(self.azure()["tokens"][AKS_SERVER_ID])
        cluster.identities.add(token, identity)
        return token

    # -- both ----------------------------------------------------------------------------------------------------

    def set_valid(self, login: str, valid: bool) -> None:
        """End or renew a login: ``aws-PROFILE`` or ``azure``. Raises ``KeyError``."""
        self._write(login, {**self._get(login), "valid": valid})

    def names(self) -> list[str]:
        """Every login, as ``set_valid`` takes it."""
        return [path.stem for path in sorted(self.folder.glob("*.json"))]

    def _jwt(self, login: Mapping[str, Any], audience: str) -> str:
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{login['tenant']}/",
            "oid": login["object_id"],
            "tid": login["tenant"],
            "upn": login["user"],
            "ver": "1.0",
        }
        parts = [json.dumps(part).encode() for part in ({"typ": "JWT", "alg": "RS256"}, claims)]
        parts.append(self._secret.randbytes(256))
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    def _get(self, name: str) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            raise KeyError(name) from None
        cached = self._read.get(name)
        if cached is None or cached[0] != stamp:
            cached = (stamp, json.loads(path.read_text("utf-8")))
            self._read[name] = cached
        return cached[1]

    def _write(self, name: str, login: Mapping[str, Any]) -> None:
        path = self.folder / f"{name}.json"
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(login, file)
        os.replace(fresh, path)
        self._read.pop(name, None)
