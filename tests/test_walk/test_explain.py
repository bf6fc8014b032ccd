"""``explain``: every code in words, from the program alone."""

import json
import socket

import pytest

from mesh.checks import ALL_CHECKS, RETIRED
from mesh.finding import Check
from tests.test_walk.walking import call


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("explain opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.code)
def test_every_code_is_explained(check: Check) -> None:
    done = call("explain", check.code)
    assert done.code == 0 and done.out.startswith(f"{check.code}: {check.title}\n") and check.why in done.out
    assert "What it says" in done.out and "What it reads" in done.out


def test_a_code_may_be_typed_short_and_small() -> None:
    assert call("explain", "0403").out == call("explain", "cm0403").out == call("explain", "CM0403").out


def test_all_codes_are_listed() -> None:
    done = call("explain")
    assert [line.split()[0] for line in done.out.splitlines()] == sorted(check.code for check in ALL_CHECKS)
    listed = json.loads(call("explain", "-o", "json").out)
    assert [one["code"] for one in listed["checks"]] == sorted(check.code for check in ALL_CHECKS)
    one = json.loads(call("explain", "CM0405", "-o", "json").out)
    assert one["gates"] == ["CM0002", "CM0323"] and one["severity"] == "critical"


def test_a_code_that_never_was_names_its_neighbours() -> None:
    done = call("explain", "CM0499")
    assert done.code == 2 and done.out == ""
    assert "There is no code CM0499" in done.err and "CM0403, CM0404, CM0405" in done.err
    lone = call("explain", "CM9999")
    assert lone.code == 2 and "Near" not in lone.err and "meshwright explain lists all" in lone.err


def test_a_retired_code_is_still_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RETIRED, "CM0399", "Nodes are blue, until 0.0.9")
    done = call("explain", "CM0399")
    assert (done.code, done.out) == (0, "CM0399 is retired: Nodes are blue, until 0.0.9\n")
