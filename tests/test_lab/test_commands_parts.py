"""Parts of the lab's ``helm`` and ``cilium`` that need no cluster."""

from typing import Any

import pytest

from backends.lab.commands.cilium.connectivity import Connectivity, problem
from backends.lab.commands.cilium.summary import aligned
from backends.lab.commands.cilium.waiting import duration as shown
from backends.lab.commands.flags import BadCommandLine, Flag, duration, first_word, parse
from backends.lab.commands.helm.printing import calendar, full
from backends.lab.commands.kube.kinds import KINDS, UnknownKind, kind_of
from backends.lab.commands.kube.yamls import BadYaml, dump, load, load_all
from backends.lab.commands.releases.objects.merge import merge_patch
from backends.lab.commands.releases.objects.ready import share
from backends.lab.commands.releases.record import time_text

FLAGS = (
    Flag("namespace", "string", "n"),
    Flag("wait"),
    Flag("set", "strings"),
    Flag("values", "csv", "f"),
    Flag("dry-run", "string", bare="client"),
    Flag("timeout", "duration", default=300.0),
)


def test_flags_may_stand_anywhere() -> None:
    found = parse(FLAGS, ["a", "-nx", "--wait", "--set", "b=1", "--set=c=2", "-f", "d,e", "f", "--", "--wait"])
    assert found.words == ["a", "f", "--wait"]
    assert (found["namespace"], found["wait"], found["set"], found["values"]) == ("x", True, ["b=1", "c=2"], ["d", "e"])
    assert found["timeout"] == 300.0
    assert found.given == {"namespace", "wait", "set", "values"}


def test_a_flag_whose_value_may_be_left_out() -> None:
    assert parse(FLAGS, ["--dry-run", "x"])["dry-run"] == "client"
    assert parse(FLAGS, ["--dry-run=server"])["dry-run"] == "server"
    assert parse(FLAGS, ["--wait=false"])["wait"] is False
    with pytest.raises(BadCommandLine, match=r'invalid argument "x" for "--wait" flag: strconv\.ParseBool'):
        parse(FLAGS, ["--wait=x"])


def test_the_command_is_the_first_word_that_is_no_value() -> None:
    assert first_word(FLAGS, ["-n", "x", "--wait", "list", "y"]) == 3
    assert first_word(FLAGS, ["--namespace=x", "list"]) == 1
    assert first_word(FLAGS, ["-n", "x"]) is None


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("1.5s", 1.5), ("0", 0), ("250ms", 0.25)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["5", "m5", "5 m", "", "5mm"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        duration(text)


def test_durations_as_shown() -> None:
    assert [shown(seconds) for seconds in (0.9, 65, 3661)] == ["0s", "1m5s", "1h1m1s"]


def test_times_as_go_writes_them() -> None:
    assert time_text(1_790_000_000.0) == "2026-09-21T14:13:20Z"
    assert time_text(1_790_000_000.25) == "2026-09-21T14:13:20.25Z"
    assert full("2026-09-21T14:13:20.25Z") == "2026-09-21 14:13:20.25 +0000 UTC"
    assert calendar("2026-09-01T14:13:20.25Z") == "Tue Sep  1 14:13:20 2026"
    assert (full(""), calendar("")) == ("-", "")


def test_yaml_keeps_text_text() -> None:
    tree: dict[str, Any] = {
        "b": "1",
        "a": "true",
        "c": "x\ny\n",
        "d": None,
        "e": 1e3,
        "f": "2026-01-02",
        "g": "1e3",
        "h": [],
        "i": {},
    }
    assert load(dump(tree)) == tree
    assert dump({"b": 1, "a": "1"}) == 'a: "1"\nb: 1\n'
    assert load("when: 2026-01-02") == {"when": "2026-01-02"}
    assert list(load_all("a: 1\n---\n---\nb: 2\n")) == [{"a": 1}, {"b": 2}]
    with pytest.raises(BadYaml, match="yaml: line 2: "):
        load("a: [")


def test_paths_of_kinds() -> None:
    assert KINDS["v1", "Secret"].path("kube-system", "x") == "/api/v1/namespaces/kube-system/secrets/x"
    assert KINDS["apps/v1", "DaemonSet"].path() == "/apis/apps/v1/daemonsets"
    role = KINDS["rbac.authorization.k8s.io/v1", "ClusterRole"]
    assert role.path("ignored", "x") == "/apis/rbac.authorization.k8s.io/v1/clusterroles/x"
    with pytest.raises(UnknownKind, match='no matches for kind "X" in version "v9"'):
        kind_of({"apiVersion": "v9", "kind": "X"})


@pytest.mark.parametrize(
    ("before", "wanted", "live", "patch"),
    [
        ({"a": 1}, {"a": 1}, {"a": 1, "b": 2}, {}),
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2}, {"b": None}),
        ({"a": 1}, {"a": 1}, {"a": 5}, {"a": 1}),
        ({"a": {"x": 1}}, {"a": {"y": 1}}, {"a": {"x": 1, "z": 1}}, {"a": {"x": None, "y": 1}}),
        ({}, {"a": None}, {"a": {"x": 1}}, {"a": None}),
        ({"l": [1]}, {"l": [2]}, {"l": [1, 3]}, {"l": [2]}),
        (
            {"containers": [{"name": "a", "image": "1"}]},
            {"containers": [{"name": "a", "image": "2"}]},
            {"containers": [{"name": "a", "image": "1", "tty": True}, {"name": "sidecar"}]},
            {"containers": [{"name": "a", "image": "2", "tty": True}, {"name": "sidecar"}]},
        ),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]},
            {"env": [{"name": "B", "value": "1"}]},
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]},
            {"env": [{"name": "B", "value": "1"}]},
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
            {"volumes": [{"name": "v", "projected": {"sources": []}}]},
            {"volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 420}}]},
            {"volumes": [{"name": "v", "projected": {"sources": []}}]},
        ),
    ],
)
def test_merging_three_ways(before: Any, wanted: Any, live: Any, patch: Any) -> None:
    assert merge_patch(before, wanted, live) == patch


def test_shares() -> None:
    assert [share(value, 10, up=True) for value in (2, "25%", "x")] == [2, 3, 10]
    assert share("25%", 10, up=False) == 2


def test_columns_belong_to_neighbouring_rows() -> None:
    rows = [["head"], ["a", "bb", "c"], ["aaa", "b", "c"], [], ["x", "y"]]
    assert aligned(rows).splitlines() == ["head", "a      bb    c", "aaa    b     c", "", "x    y"]


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        ({"connected": False, "status": "dial tcp: refused"}, ("unconnected", "dial tcp: refused")),
        ({"connected": True}, ("", "remote cluster configuration retrieval status unknown")),
        (
            {"connected": True, "config": {"required": True}},
            ("config", "remote cluster configuration required but not found"),
        ),
        ({"connected": True, "config": {}}, ("", "synchronization status unknown")),
        (
            {"connected": True, "config": {}, "synced": {"nodes": True, "services": True}},
            ("", "synchronization in progress for endpoints, identities"),
        ),
    ],
)
def test_why_a_peer_is_not_ready(peer: dict[str, Any], words: tuple[str, str]) -> None:
    assert problem(peer) == words


def test_counting_peers() -> None:
    found = Connectivity(clusters={"west": [0, 0], "north": [0, 0]})
    found.add("one", ["west", "north"], [{"name": "west", "ready": True}, {"name": "north", "ready": True}])
    found.add("two", ["west", "north"], [{"name": "west", "connected": False, "status": "refused"}])
    assert (found.least, found.average, found.most, found.not_ready, found.total) == (0, 1.0, 2, 1, 2)
    shown = found.json()
    assert shown["clusters"] == {
        "north": {"configured": 1, "connected": 1},
        "west": {"configured": 2, "connected": 1},
    }
    assert shown["errors"]["two"]["west"] == {"Errors": ["refused"], "Warnings": [], "Disabled": False}
    assert shown["errors"]["two"]["north"]["Errors"] == ["unknown status"]
    assert shown["connected"] == {"avg": 1.0, "max": 2}, "a zero is left out"
