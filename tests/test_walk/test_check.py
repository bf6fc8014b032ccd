"""``check --lab SCENARIO``: each scenario gives what its name says, and nothing besides."""

import functools
from pathlib import Path

import pytest

from tests.test_walk.walking import EAST, TOKYO, Done, call

BACK = f"{EAST} → {TOKYO}"
THERE = f"{TOKYO} → {EAST}"
BOTH = f"{EAST} ⇄ {TOKYO}"
_NOT_INSTALLED = {
    ("CM0201", EAST),
    ("CM0201", TOKYO),
    ("CM0208", TOKYO),
    ("CM0405", BACK),
    ("CM0405", THERE),
    ("CM0601", EAST),
    ("CM0601", TOKYO),
    ("CM0608", BOTH),
    ("CM0701", BACK),
    ("CM0701", THERE),
}


@functools.cache
def checked(scenario: str) -> Done:
    """The verdict on a lab of its own, read once."""
    return call("check", "--lab", scenario, "-o", "json")


def to_do(done: Done) -> list[tuple[str, str]]:
    return [(one["code"], one["subject_text"]) for one in done.report["findings"] if one["to_do"]]


@pytest.mark.parametrize(
    ("scenario", "running"), [("classic", {("CM0208", EAST)}), ("fresh", set())], ids=["classic", "fresh"]
)
def test_before_a_join_only_the_missing_rules_stand_in_the_way(scenario: str, running: set[tuple[str, str]]) -> None:
    done = checked(scenario)
    assert done.code == 1
    assert done.roots == [("CM0403", BACK), ("CM0404", BACK)]
    assert done.found("FAIL") == done.roots
    assert done.found("WARN", "UNKNOWN", "BLOCKED", "ERROR") == []
    assert sorted(done.found("INFO")) == sorted(to_do(done)) == sorted(_NOT_INSTALLED | running)
    for problem in done.report["problems"]:
        first = problem["root"]["fixes"][0]
        assert first["in_plan"] and first["opens"] and first["commands"]


def test_classic_in_words() -> None:
    done = call("check", "--lab", "classic", "--fail-on", "critical")
    lines = done.out.splitlines()
    assert done.code == 1
    assert [line.split()[1] for line in lines if line.startswith("✗")] == ["CM0403", "CM0404"]
    assert any("aws ec2 authorize-security-group-ingress" in line and "8472" in line for line in lines)
    assert all(line.endswith("(to do)") for line in lines if line.startswith("i "))
    assert lines[-1].startswith("PASS ") and "FAIL 2 (0 explained)" in lines[-1]


def test_healthy_has_nothing() -> None:
    done = checked("healthy")
    assert done.code == 0
    assert done.roots == []
    assert set(done.summary) <= {"PASS", "N/A"} and done.summary["PASS"] > 50
    assert all(one["evidence"] for one in done.report["findings"] if one["state"] == "PASS")


def test_overlap_is_the_pod_ranges_and_the_rules() -> None:
    done = checked("overlap")
    assert done.code == 1
    assert done.roots[0] == ("CM0320", BOTH)
    # The rules of the workers are missing as in every pair not joined.
    assert set(done.roots) == {("CM0320", BOTH), ("CM0403", BACK), ("CM0404", BACK)}
    assert done.found("UNKNOWN", "BLOCKED", "ERROR", "WARN") == []
    text = next(one["root"]["message"] for one in done.report["problems"] if one["root"]["code"] == "CM0320")
    assert "10.120.0.0/16" in text


@pytest.mark.parametrize(
    ("scenario", "root"),
    [("vxlan-one-way", ("CM0403", BACK)), ("ca-mismatch", ("CM0608", BOTH))],
)
def test_a_broken_mesh_has_one_root(scenario: str, root: tuple[str, str]) -> None:
    done = checked(scenario)
    assert done.code == 1
    assert done.roots == [root]
    assert done.found("UNKNOWN", "BLOCKED", "ERROR", "WARN", "INFO") == []


def test_denied_says_which_right_is_missing_and_claims_nothing() -> None:
    done = checked("denied")
    assert done.code == 3
    assert done.roots == [("CM0101", EAST), ("CM0102", EAST)]
    assert done.found("FAIL", "WARN", "ERROR") == []
    fixes = [fix for problem in done.report["problems"] for fix in problem["root"]["fixes"]]
    words = {word for fix in fixes for command in fix["commands"] for word in command["argv"]}
    assert {"--resource=secrets", "--resource=pods/exec"} <= words
    assert {("CM0608", BOTH), ("CM0610", EAST), ("CM0701", BACK)} <= set(done.found("BLOCKED"))
    assert ("CM0701", THERE) in done.found("PASS")


def test_a_layer_alone_is_not_called_good_for_what_lies_below_it() -> None:
    done = call("check", "--lab", "denied", "--layer", "7")
    assert done.code == 3 and "hold" not in done.out
    assert [line.split()[1] for line in done.out.splitlines() if line.startswith("?")] == ["CM0101", "CM0102"]
    assert "BLOCKED 1 " in done.out
    held = call("check", "--lab", "healthy", "--layer", "7")
    assert held.code == 0 and "The layers asked for hold; others were not judged." in held.out


def test_folding_hides_nothing_from_a_program() -> None:
    done = checked("denied")
    findings = {(one["code"], one["subject_text"]): one["state"] for one in done.report["findings"]}
    assert len(findings) == len(done.report["findings"]) == sum(done.summary.values())
    assert set(done.report["summary"]) == {"PASS", "INFO", "WARN", "FAIL", "UNKNOWN", "BLOCKED", "N/A", "ERROR"}
    told = {(one["code"], one["subject"]) for problem in done.report["problems"] for one in problem["consequences"]}
    assert told == set(done.found("BLOCKED")) and told


def test_twins_are_one_cluster() -> None:
    done = checked("twins")
    assert done.code == 1
    assert done.roots == [("CM0003", "admin (1) ⇄ admin (2)")]
    assert done.found("FAIL") == done.roots
    assert done.found("UNKNOWN", "ERROR", "WARN") == []


@pytest.mark.parametrize("argv", [("plan",), ("apply", "--yes")], ids=["plan", "apply"])
def test_one_cluster_twice_is_not_joined_with_itself(argv: tuple[str, ...], tmp_path: Path) -> None:
    done = call(*argv, "--lab", "twins", env={"MESHWRIGHT_STATE_DIR": str(tmp_path)})
    assert done.code == 5 and "CM0003 admin (1) ⇄ admin (2)" in done.out
    assert not list(tmp_path.rglob("*.jsonl")), "no run was begun"


def test_expired_is_one_login() -> None:
    done = checked("expired")
    assert done.code == 3
    assert done.roots == [("CM0002", TOKYO)]
    assert done.found("FAIL", "WARN", "ERROR") == []
    root = done.report["problems"][0]["root"]
    assert root["fixes"][0]["commands"][0]["argv"] == ["aws", "sso", "login", "--profile", "lab"]
    assert not [one for one in done.found("PASS") if TOKYO in one[1] and one[0] != "CM0001"]


def test_three_clouds_holds_for_three() -> None:
    done = checked("three-clouds")
    assert done.code == 0
    assert done.roots == []
    assert set(done.summary) <= {"PASS", "N/A", "INFO"}
    assert done.found("INFO") == [("CM0801", "auth/sessions"), ("CM0801", "mail/relay")]
    directed = [subject for code, subject in done.found("PASS") if code == "CM0403"]
    assert len(directed) == 6
