"""Certificates and peers that the lab's Cilium chart makes (cilium-clustermesh §2.2, §2.3)."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from backends.lab.charts import ChartError, Object
from backends.lab.charts.trust.certificates import new_authority
from tests.test_lab.charting import (
    MEMBER,
    MINORS,
    NOW,
    certificate,
    common_name,
    find,
    hosts,
    need,
    peer,
    rendered,
    signed_by,
)

SERVER = "clustermesh-apiserver-server-cert"
REMOTE = "clustermesh-apiserver-remote-cert"
PEERS: dict[str, Any] = {
    "clustermesh": {
        "config": {
            "clusters": [
                {"name": "west", "ips": ["10.9.0.4", "10.9.0.5"], "port": 2379},
                {"name": "north", "address": "north.example.org", "port": 32379},
            ]
        }
    }
}


def secret_of(name: str = "Cilium CA", data: dict[str, bytes] | None = None) -> Object:
    pair = new_authority(name, 10, NOW, "ec")
    given = data or {"ca.crt": pair.certificate, "ca.key": pair.key}
    return {"data": {key: base64.b64encode(value).decode() for key, value in given.items()}}


@pytest.mark.parametrize("version", MINORS)
def test_one_authority_signs_every_leaf(version: str) -> None:
    objects = rendered(version, MEMBER, {"hubble": {"relay": {"enabled": True}}})
    authority = certificate(need(objects, "Secret", "cilium-ca"), "ca.crt")
    leaves = [item for item in objects if item["kind"] == "Secret" and "tls.crt" in (item.get("data") or {})]
    assert len(leaves) >= 5
    for leaf in leaves:
        assert signed_by(certificate(leaf), authority)
        assert leaf["data"]["ca.crt"] == need(objects, "Secret", "cilium-ca")["data"]["ca.crt"]


def test_an_authority_in_the_cluster_is_kept_and_signs() -> None:
    live = secret_of("Company CA")
    for version in MINORS:
        objects = rendered(version, MEMBER, lookup=lambda kind, space, name: live if name == "cilium-ca" else None)
        assert need(objects, "Secret", "cilium-ca")["data"] == live["data"]
        assert signed_by(certificate(need(objects, "Secret", REMOTE)), certificate(live, "ca.crt"))


def test_an_authority_in_the_values_comes_before_the_cluster_s() -> None:
    live, given = secret_of("Old CA"), secret_of("New CA")
    values = {"tls": {"ca": {"cert": given["data"]["ca.crt"], "key": given["data"]["ca.key"]}}}
    objects = rendered("1.20.2", MEMBER, values, lookup=lambda *_: live)
    assert need(objects, "Secret", "cilium-ca")["data"] == given["data"]
    assert signed_by(certificate(need(objects, "Secret", SERVER)), certificate(given, "ca.crt"))


def test_hubble_s_leaf_outlives_its_authority_since_1_18() -> None:
    """A new CA alone does not renew it, so that agents of two CAs meet."""
    old = {"ca.crt": b"x", "tls.crt": b"old certificate", "tls.key": b"old key"}

    def lookup(kind: str, space: str, name: str) -> Object | None:
        return secret_of(data=old) if name == "hubble-server-certs" else None

    for version in MINORS:
        leaf = need(rendered(version, MEMBER, lookup=lookup), "Secret", "hubble-server-certs")
        kept = base64.b64decode(leaf["data"]["tls.crt"]) == b"old certificate"
        assert kept == (version >= "1.18")


def test_names_in_the_server_s_certificate() -> None:
    for version in MINORS:
        found = certificate(need(rendered(version, MEMBER), "Secret", SERVER))
        service = "clustermesh-apiserver.kube-system.svc"
        assert {"*.mesh.cilium.io", service, "127.0.0.1", "::1"} <= set(hosts(found))
        newest = version >= "1.20"
        assert ("clustermesh-apiserver.cilium.io" in hosts(found)) == (not newest)
        assert common_name(found) == (service if newest else "clustermesh-apiserver.cilium.io")
        lasts = found.not_valid_after_utc - found.not_valid_before_utc
        assert timedelta(days=365 if newest else 1095) - lasts < timedelta(days=1)


def test_clients_have_names_that_the_server_knows() -> None:
    for version in MINORS:
        objects = rendered(version, MEMBER)
        names = {
            item["metadata"]["name"].removeprefix("clustermesh-apiserver-"): common_name(certificate(item))
            for item in objects
            if item["kind"] == "Secret" and item["metadata"]["name"].startswith("clustermesh-apiserver-")
        }
        assert names["admin-cert"] == "admin-east"
        assert names["remote-cert"] == "remote"
        assert names.get("local-cert") == ("local-east" if version >= "1.16" else None)
        assert "client-cert" not in names
    cluster = rendered("1.20.2", MEMBER, {"clustermesh": {"apiserver": {"tls": {"authMode": "cluster"}}}})
    assert common_name(certificate(need(cluster, "Secret", REMOTE))) == "remote-east"


@pytest.mark.parametrize("version", MINORS)
def test_peers_of_a_list(version: str) -> None:
    objects = rendered(version, MEMBER, PEERS)
    through = need(objects, "Secret", "cilium-clustermesh")
    assert set(through["data"]) == {"west", "north"}
    if version < "1.16":
        assert peer(through, "west")["endpoints"] == ["https://west.mesh.cilium.io:2379"]
        return
    assert peer(through, "west")["endpoints"] == ["https://clustermesh-apiserver.kube-system.svc:2379"]
    direct = need(objects, "Secret", "cilium-kvstoremesh")
    assert peer(direct, "west")["endpoints"] == ["https://west.mesh.cilium.io:2379"]
    assert peer(direct, "north")["endpoints"] == ["https://north.example.org:32379"]


def test_peers_of_a_map_and_one_that_is_off() -> None:
    clusters = {
        "west": {"ips": ["10.9.0.4"], "port": 2379},
        "north": {"ips": ["10.9.0.9"], "port": 2379, "enabled": False},
    }
    values = {"clustermesh": {"config": {"clusters": clusters}}}
    objects = rendered("1.20.2", MEMBER, values)
    assert set(need(objects, "Secret", "cilium-kvstoremesh")["data"]) == {"west"}
    with pytest.raises(ChartError, match="at '/clustermesh/config/clusters': got object, want array"):
        rendered("1.18.3", MEMBER, values)


def test_a_peer_s_own_certificate_is_carried_along() -> None:
    tls = {"cert": "Y2VydA==", "key": "a2V5", "caCert": "Y2E="}
    clusters = [{"name": "west", "ips": ["10.9.0.4"], "port": 2379, "tls": tls}]
    found = need(
        rendered("1.19.5", MEMBER, {"clustermesh": {"config": {"clusters": clusters}}}), "Secret", "cilium-kvstoremesh"
    )
    assert found["data"]["west.etcd-client.crt"] == "Y2VydA=="
    assert found["data"]["west.etcd-client-ca.crt"] == "Y2E="
    assert peer(found, "west")["cert-file"].endswith("/west.etcd-client.crt")


def test_no_peers_are_a_null_that_clears_the_secret() -> None:
    for version in MINORS:
        assert need(rendered(version, MEMBER), "Secret", "cilium-clustermesh")["data"] is None


def test_remote_users_follow_the_peers() -> None:
    mode = {"clustermesh": {"apiserver": {"tls": {"authMode": "cluster"}}}}
    users = need(rendered("1.19.5", MEMBER, PEERS, mode), "ConfigMap", "clustermesh-remote-users")["data"]["users.yaml"]
    assert "remote-west" in users
    assert "remote-north" in users


def test_a_bundle_is_trusted_instead_of_the_authority_alone() -> None:
    values = {"tls": {"caBundle": {"enabled": True, "content": "-----BEGIN CERTIFICATE-----\none\n"}}}
    for version in MINORS:
        bundle = need(rendered(version, MEMBER, values), "ConfigMap", "cilium-root-ca.crt")
        assert bundle["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----\none")
        assert find(rendered(version, MEMBER), "ConfigMap", "cilium-root-ca.crt") is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            {"ca.crt": b"no certificate", "ca.key": b"no key"},
            "error calling buildCustomCert: unable to decode certificate",
        ),
        ({"ca.key": b"no key"}, "<$crt>: invalid value; expected string"),
        ({"ca.crt": b"no certificate"}, "<$key>: invalid value; expected string"),
    ],
)
def test_an_authority_that_cannot_be_used(data: dict[str, bytes], reason: str) -> None:
    for version in MINORS:
        with pytest.raises(ChartError) as refused:
            rendered(version, MEMBER, lookup=lambda *_: secret_of(data=data))
        assert reason in str(refused.value)


def test_an_authority_in_the_values_that_is_no_base64() -> None:
    with pytest.raises(ChartError, match="unable to decode base64 certificate"):
        rendered("1.20.2", MEMBER, {"tls": {"ca": {"cert": "?", "key": "?"}}})


def test_keys_are_shown_nowhere() -> None:
    pair = new_authority("Cilium CA", 10, NOW, "ec")
    assert pair.key.decode() not in repr(pair)
