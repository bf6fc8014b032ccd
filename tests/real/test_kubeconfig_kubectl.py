"""Kubeconfigs read by us and by the real kubectl: contexts, entries, refusals, plugins' input, requests and proxies."""

import base64
import json
import os
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.credentials.connection import Connection
from backends.kubeconfig.listing import Kubeconfig
from mesh.model.context import ContextRef
from mesh.reading import NotRead

pytestmark = pytest.mark.real
PLAIN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
V1 = "client.authentication.k8s.io/v1"
BETA = "client.authentication.k8s.io/v1beta1"
B64 = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()


def run(kubectl: Path, files: Sequence[Path], *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**PLAIN, "KUBECONFIG": os.pathsep.join(map(str, files)), **variables}
    return subprocess.run(
        [kubectl, *argv],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def ours(files: Sequence[Path]) -> Kubeconfig:
    return Kubeconfig(environment={"KUBECONFIG": os.pathsep.join(map(str, files))}, home=Path("/nonexistent"))


def visible(config: Kubeconfig) -> dict[str, ContextRef]:
    """The contexts that kubectl sees: the first of each name."""
    found: dict[str, ContextRef] = {}
    for ref in config.contexts().contexts:
        found.setdefault(ref.context, ref)
    return found


def made_up(rng: random.Random, folder: Path) -> list[Path]:
    """One to three files with entries that overlap, hide each other and point into other files."""
    files = []
    for number in range(rng.randint(1, 3)):
        path = folder / f"d{number}" / "config"
        path.parent.mkdir(parents=True)
        (path.parent / "ca.pem").write_text(f"CA of {number}")
        names = [f"n{rng.randint(0, 4)}" for _ in range(3)]
        document: dict[str, Any] = {
            "clusters": [{"name": name, "cluster": cluster(rng, number)} for name in dict.fromkeys(names)],
            "users": [{"name": name, "user": user(rng)} for name in dict.fromkeys(reversed(names))],
            "contexts": [
                {"name": f"c{index}", "context": {"cluster": rng.choice(names), "user": rng.choice(names)}}
                for index in rng.sample(range(6), 3)
            ],
        }
        if rng.random() < 0.5:
            document["contexts"][0]["context"]["namespace"] = "shop"
        if rng.random() < 0.6:
            document["current-context"] = f"c{rng.randint(0, 6)}"
        path.write_text(json.dumps(document))
        files.append(path)
    if rng.random() < 0.3:
        files.insert(rng.randint(0, len(files)), folder / "gone")
    if rng.random() < 0.2:
        files.append(files[0])
    return files


def cluster(rng: random.Random, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"server": f"https://s{number}-{rng.randint(0, 9)}:6443"}
    trust = [{"certificate-authority": "ca.pem"}, {"certificate-authority-data": B64}]
    found |= rng.choice([{}, *trust, {"insecure-skip-tls-verify": True}])
    found |= rng.choice(
        [{}, {"tls-server-name": "inner"}, {"proxy-url": "http://p:3128"}, {"disable-compression": True}]
    )
    return found


def user(rng: random.Random) -> dict[str, Any]:
    plugin = {"apiVersion": BETA, "command": "login", "args": ["a", "b"], "env": [{"name": "X", "value": "1"}]}
    found: dict[str, Any] = rng.choice(
        [
            {"token": f"t{rng.randint(0, 9)}"}, {"username": "u", "password": "p"}, {"exec": plugin}, {},
            {"client-certificate-data": B64, "client-key-data": B64},
        ]
    )  # fmt: skip
    return found | rng.choice([{}, {"as": "jane", "as-groups": ["dev"], "as-uid": "7", "as-user-extra": {"a": ["b"]}}])


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[list[Path]]:
    rng = random.Random(20261123)
    return [made_up(rng, tmp_path_factory.mktemp(f"set{number}")) for number in range(40)]


def test_the_same_contexts_and_current_context(kubectl: Path, sets: list[list[Path]]) -> None:
    for files in sets:
        seen = json.loads(run(kubectl, files, "config", "view", "--raw", "-o", "json").stdout)
        config = ours(files)
        theirs = {
            item["name"]: (item["context"]["cluster"], item["context"]["user"], item["context"].get("namespace", ""))
            for item in seen["contexts"] or ()
        }
        found = visible(config)
        assert {name: (ref.cluster_entry, ref.user, ref.namespace) for name, ref in found.items()} == theirs
        current = seen["current-context"]
        listed = {ref.key: ref for ref in config.contexts().contexts}
        assert listed[config.current()].context == current if current in theirs else config.current() == ""


def test_the_same_entries_behind_every_context(kubectl: Path, sets: list[list[Path]]) -> None:
    compared = 0
    for files in sets[:16]:
        config = ours(files)
        for name, ref in visible(config).items():
            argv = ("config", "view", "--raw", "--flatten", "--minify", "--context", name, "-o", "json")
            theirs = run(kubectl, files, *argv)
            connection = opened(config, ref)
            if connection is None:
                # kubectl shows a context whose cluster or user is missing, and refuses to use it.
                assert run(kubectl, files, "--context", name, "get", "--raw", "/").returncode != 0
                continue
            seen = json.loads(theirs.stdout)
            entry = (seen["clusters"] or [{"cluster": {}}])[0]["cluster"]
            who = (seen["users"] or [{"user": {}}])[0]["user"]
            assert flat_cluster(connection.cluster) == {key: value for key, value in entry.items() if value}
            assert flat_user(connection.user) == flat_theirs(who)
            compared += 1
    assert compared > 50


def opened(config: Kubeconfig, ref: ContextRef) -> Connection | None:
    """The connection, or None where an entry that the context names is nowhere."""
    try:
        return config.connection(ref)
    except NotRead as error:
        if "is in no kubeconfig file" not in error.unknown.detail:
            raise
        return None


def flat_cluster(entry: Any) -> dict[str, Any]:
    found = {
        "server": entry.server,
        "certificate-authority-data": base64.b64encode(entry.ca).decode() if entry.ca else "",
        "insecure-skip-tls-verify": entry.insecure,
        "tls-server-name": entry.tls_server_name,
        "proxy-url": entry.proxy_url,
        "disable-compression": entry.disable_compression,
    }
    return {key: value for key, value in found.items() if value}


def flat_user(entry: Any) -> dict[str, Any]:
    who, plugin = entry.impersonation, entry.plugin
    found = {
        "token": entry.token.reveal() if entry.token else "",
        "username": entry.username,
        "password": entry.password.reveal() if entry.password else "",
        "client-certificate-data": base64.b64encode(entry.certificate or b"").decode(),
        "client-key-data": base64.b64encode(entry.key.reveal().encode()).decode() if entry.key else "",
        "as": who.user,
        "as-uid": who.uid,
        "as-groups": list(who.groups),
        "as-user-extra": {key: list(values) for key, values in who.extra.items()},
        "exec": (plugin.command, list(plugin.args), plugin.env, plugin.api_version) if plugin else None,
    }
    return {key: value for key, value in found.items() if value}


def flat_theirs(who: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(who)
    if "exec" in found:
        plugin = found["exec"]
        variables = {item["name"]: item["value"] for item in plugin["env"] or ()}
        found["exec"] = (plugin["command"], plugin["args"], variables, plugin["apiVersion"])
    return {key: value for key, value in found.items() if value}


# A file's text, and whether kubectl reads it. What kubectl refuses, we name as broken, and the other way round.
TEXTS = (
    "", "# only a comment\n", "---\n", "null\n", "{}", "contexts: null\n", "[]", "- a\n", "just text\n", "7\n",
    "contexts:\n- name: 123\n", "contexts:\n- name: yes\n", "contexts:\n- name: y\n", "contexts:\n- name: 2024-01-01\n",
    "contexts:\n- name: 12:30\n", "contexts:\n- name: 0x1f\n", "contexts:\n- name: 1e3\n", "contexts:\n- name: ~\n",
    "contexts:\n- name: 010\n", "contexts:\n- name: 1_000\n", "contexts:\n- name: '123'\n", "contexts:\n- name: off\n",
    "contexts:\n- name: .5\n", "contexts:\n- name: 1.2.3\n", "contexts:\n- name: -1\n", "contexts:\n- name: +.inf\n",
    "contexts:\n- {name: a}\n- {name: a}\n", "users:\n- {name: a}\n- {name: a}\n",
    "contexts:\n- name: a\n  name: b\n", "contexts: {}\n", "contexts: text\n", "contexts:\n- text\n",
    "clusters:\n- {name: a, cluster: {server: 7}}\n",
    "clusters:\n- {name: a, cluster: {insecure-skip-tls-verify: 'true'}}\n",
    "clusters:\n- {name: a, cluster: {insecure-skip-tls-verify: yes}}\n", "clusters:\n- {name: a, cluster: null}\n",
    "users:\n- {name: a, user: {token: 123}}\n", "users:\n- {name: a, user: {as-groups: x}}\n",
    "users:\n- {name: a, user: {exec: {args: [1]}}}\n", "users:\n- {name: a, user: {exec: {env: {A: b}}}}\n",
    "kind: Config\napiVersion: v1\n", "kind: Pod\napiVersion: v1\n", "apiVersion: v2\n", "kind: Config\n",
    "kind: List\n",
    "unknown: field\ncontexts:\n- {name: a, other: 1}\n", "a: &x [1]\nb: *x\n", "a: *gone\n", "a: b: c\n",
    "a:\n\t- b\n",
    "contexts:\n- &x {name: a}\n- <<: *x\n  name: b\n", '{"contexts":\t[{"name": "a"}]}', '{"contexts": [,]}',
    "contexts: [{name: a}]\n---\ncontexts: [{name: b}]\n", "\ufeffcontexts: [{name: a}]\n", "current-context: 7\n",
    "Contexts:\n- {name: a}\n", "preferences: {colors: true}\n", "extensions: []\n", "contexts:\n- name: =\n",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_files_are_refused_and_accepted_alike(kubectl: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    theirs = run(kubectl, [path], "config", "view", "--raw", "-o", "json")
    listed = ours([path]).contexts()
    assert bool(listed.problems) == bool(theirs.returncode), (theirs.stderr, listed.problems)
    if not theirs.returncode:
        names = [item["name"] for item in json.loads(theirs.stdout)["contexts"] or ()]
        assert sorted(ref.context for ref in listed.contexts) == sorted(names)
