"""What ends a run before its time, what refuses to begin one, and that ``resume`` brings it to its end."""

import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.test_walk import trio
from tests.test_walk.walking import EAST, TOKYO, Done, Lab, Program, carrying, lab, program, until

pytestmark = pytest.mark.timeout(300)
_SECONDS = 90.0
_DIES = """#!/bin/sh
if [ "$1" = upgrade ]; then echo "Installing it now."; echo "half of it is there"
  for _ in $(seq 900); do [ -e "$WALK_GO" ] && break; sleep 0.1; done
  kill -9 $$
fi
exec {helm} "$@"
"""
_TOUCHES = """#!/bin/sh
: > "$WALK_ASKED"
exec {aws} "$@"
"""


@pytest.fixture(scope="module")
def bare() -> Iterator[Lab]:
    """Three clusters without Cilium. The tests stand in the order in which they use it up."""
    with lab("bare", speed=60, module=trio.MODULE) as running:
        yield running


def before(lab: Lab, folder: Path, name: str, script: str) -> str:
    """A ``PATH`` on which this script comes before the lab's own program of that name."""
    own = Path(lab.said["path"]) / name
    (folder / name).write_text(script.format(**{name: own}))
    (folder / name).chmod(0o755)
    return f"{folder}:{lab.env['PATH']}"


def unchanged(lab: Lab) -> bool:
    """Whether no run has written anything."""
    return not any(lab.journal(number) for number in range(1, 9))


def test_nobody_consented(bare: Lab) -> None:
    done = bare.call("apply", *bare.named)
    assert done.code == 5 and "Nobody consented to this plan" in done.err and "--yes" in done.err
    assert "install Cilium" in done.out and "undo     helm uninstall" in done.out, "what would have been done is shown"
    assert unchanged(bare)


def test_helm_is_not_there(bare: Lab, tmp_path: Path) -> None:
    for own in Path(bare.said["path"]).iterdir():
        if own.name != "helm":
            (tmp_path / own.name).symlink_to(own)
    done = bare.call("apply", *bare.named, "--yes", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.code == 5 and "helm is not there" in done.err and "Install helm" in done.err
    assert unchanged(bare)


@pytest.mark.parametrize("command", ["apply", "plan"])
def test_a_plan_with_a_blocker(bare: Lab, command: str) -> None:
    yes = ("--yes",) if command == "apply" else ()
    done = bare.call(command, *bare.named, *yes, "--set", f"pods.{TOKYO}={trio.OSAKA_VPC}")
    assert done.code == 5 and "CM0321" in done.out
    assert command == "plan" or "meshwright explain CM0321" in done.err
    assert unchanged(bare)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
@pytest.mark.parametrize("command", ["check", "plan", "graph"])
def test_a_signal_ends_reading(bare: Lab, tmp_path: Path, command: str, number: signal.Signals, code: int) -> None:
    mark, asked = f"walk-{uuid.uuid4()}", tmp_path / "asked"
    env = {**bare.env, "PATH": before(bare, tmp_path, "aws", _TOUCHES), "WALK_MARK": mark, "WALK_ASKED": str(asked)}
    bare.tell(lambda control: control.api(TOKYO, "hanging"))
    try:
        with program(command, *bare.named, env=env) as running:
            until(asked.exists, "the login of a cluster is asked for", _SECONDS)
            running.send(number)
            done = running.ended(15)
    finally:
        bare.tell(lambda control: control.api(TOKYO))
    assert done.code == code
    assert done.out == "" and "Traceback" not in done.err
    until(lambda: not carrying(mark), "nothing is left running", 10)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=["TERM", "KILL"])
@pytest.mark.parametrize("argv", [("check", "--lab", "healthy"), ("lab", "up")], ids=["starting", "running"])
def test_a_lab_ends_with_the_command_that_started_it(
    tmp_path: Path, argv: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    mark = f"walk-{uuid.uuid4()}"
    with program(*argv, env={"WALK_MARK": mark, "TMPDIR": str(tmp_path)}) as running:
        until(lambda: any(tmp_path.iterdir()), "the lab has a folder", _SECONDS)
        if argv[0] == "lab":
            running.said("export KUBECONFIG=", _SECONDS)
        assert len(carrying(mark)) > 1, "the lab has a process of its own"
        running.send(number)
        assert running.ended(15).code == code
    until(lambda: not carrying(mark), "the lab has ended", 15)
    assert list(tmp_path.iterdir()) == [], "what it wrote went with it"


def pending(lab: Lab, context: str) -> bool:
    """Whether the release of a cluster is being installed, asked as a person would."""
    argv = ["helm", "list", "--all", "--namespace", "kube-system", "--kube-context", context, "--output", "json"]
    said = subprocess.run(argv, env=lab.env, capture_output=True, text=True, check=True, timeout=_SECONDS).stdout
    return any(row["status"] == "pending-install" for row in json.loads(said))


class Cutting:
    """One join of three clusters that is cut off again and again; ``found`` is how each call ended."""

    def __init__(self, bare: Lab, folder: Path) -> None:
        self.bare = bare
        self.folder = folder
        self.found: dict[str, Done] = {}
        self.mark = f"walk-{uuid.uuid4()}"

    def cut(
        self,
        name: str,
        *argv: str,
        when: Callable[[Program], None] = lambda _: None,
        by: int = 0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """One call that is sent a signal once ``when`` has seen what it waits for; afterwards time goes on."""
        variables = {**self.bare.env, "WALK_MARK": self.mark, **(env or {})}
        with program(*argv, "--yes", env=variables) as running:
            when(running)
            if by:
                running.send(signal.Signals(by))
            self.found[name] = running.ended(_SECONDS)
        until(lambda: not carrying(self.mark), f"nothing is left running after {name}", 20)
        self.bare.tell(lambda control: control.pause(False))

    def hold(self) -> None:
        """Let the lab's time stand still, so that what is waited for does not come."""
        self.bare.tell(lambda control: control.pause())

    def dying(self, running: Program) -> None:
        """Helm waits in the middle of its work while others try to join the same clusters, then it dies."""
        running.said("half of it is there", _SECONDS)
        other = str(self.folder / "somebody else")
        self.found["other operator"] = self.bare.call("apply", *self.bare.named, "--yes", MESHWRIGHT_STATE_DIR=other)
        self.found["same run"] = self.bare.call("resume", "--yes")
        (self.folder / "go").touch()

    def installing(self, running: Program) -> None:
        self.bare.tell(lambda control: control.api(EAST, latency=0.15))
        until(lambda: pending(self.bare, EAST), "helm installs", _SECONDS, every=0.5)
        self.hold()

    def waiting(self, running: Program) -> None:
        self.hold()
        running.said("waiting for:", _SECONDS)

    def connecting(self, running: Program) -> None:
        running.said("◐ connect", _SECONDS)
        self.hold()
        until(lambda: "waiting for:" in running.out.rpartition("◐ connect")[2], "helm is done", _SECONDS)

    def proving(self, running: Program) -> None:
        running.said("◐ prove", _SECONDS)
        self.hold()
        running.send(signal.SIGHUP)
        running.said("a second signal ends them", _SECONDS)


@pytest.fixture(scope="module")
def ends(bare: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """One join, cut off again and again, by name of what cut it off."""
    folder = tmp_path_factory.mktemp("ends")
    written = bare.call("plan", *bare.named, "--write", str(folder / "plan.json"))
    assert written.code == 0, written.err
    one = Cutting(bare, folder)
    dying = {"PATH": before(bare, folder, "helm", _DIES), "WALK_GO": str(folder / "go")}
    one.cut("helm dies", "apply", *bare.named, when=one.dying, env=dying)
    one.cut("kill", "resume", when=one.installing, by=signal.SIGKILL)
    one.found["cut off"] = Done(0, json.dumps(bare.journal()))
    bare.tell(lambda control: control.api(EAST))
    one.cut("interrupt", "resume", when=one.waiting, by=signal.SIGINT)
    one.cut("terminate", "resume", when=one.connecting, by=signal.SIGTERM)
    one.cut("hang up", "resume", when=one.proving, by=signal.SIGHUP)
    one.cut("end", "resume")
    one.found["stale plan"] = bare.call("apply", *bare.named, "--yes", "--plan", str(folder / "plan.json"))
    return one.found


def test_helm_that_dies_halfway(ends: dict[str, Done]) -> None:
    done = ends["helm dies"]
    assert done.code == 4
    assert "half of it is there" in done.out, "what it said is shown"
    failed = [line for line in done.out.splitlines() if line.startswith("✗ install")]
    assert failed and all("helm failed in" in line for line in failed)
    assert "meshwright resume 1" in done.err


def test_killed_while_helm_installs(ends: dict[str, Done]) -> None:
    assert ends["kill"].code == -signal.SIGKILL
    records = json.loads(ends["cut off"].out)
    assert records[-1]["kind"] != "end"
    open_ = {one["step"] for one in records if one["kind"] == "intent"}
    open_ -= {one["step"] for one in records[1:] if one["kind"] == "outcome"}
    assert f"install.{EAST}" in open_, "the change that was sent and not answered is known"


def test_two_operators_are_kept_apart(ends: dict[str, Done]) -> None:
    other, same = ends["other operator"], ends["same run"]
    assert other.code == 5 and "is being changed by" in other.err and "Nothing was changed" in other.err
    assert same.code == 5 and "Run 1 is being carried out by another process" in same.err


@pytest.mark.parametrize(("name", "code"), [("interrupt", 130), ("terminate", 143), ("hang up", 129)])
def test_a_signal_ends_a_run_that_can_go_on(ends: dict[str, Done], name: str, code: int) -> None:
    done = ends[name]
    assert done.code == code
    assert "stopping after the calls under way of " in done.err and "a second signal ends them" in done.err
    assert "Traceback" not in done.err
    assert "run 1: plan" in done.out and "going on" in done.out
    assert "go on with: meshwright resume" in done.err


def test_what_was_cut_off_ends_joined(bare: Lab, ends: dict[str, Done]) -> None:
    done = ends["end"]
    assert done.code == 0 and "Joined in" in done.out
    first, last = (re.search(r": (\d+) to do, (\d+) already so", ends[name].out) for name in ("kill", "end"))
    assert first and last and int(last[1]) <= 2 < int(first[1]), "what is done by now is not shown as to do"
    assert "no CA yet" not in done.out and "Cilium is not installed yet" not in done.out
    records = bare.journal()
    assert (records[-1]["kind"], records[-1]["state"]) == ("end", "done") and bare.journal(2) == []
    assert sum(one["kind"] == "resume" for one in records) == 5
    assert {one["state"] for one in records if one["kind"] == "end"} == {"failed", "cancelled", "done"}
    check = bare.check()
    assert check.code == 0 and check.found("FAIL", "WARN", "UNKNOWN", "BLOCKED", "ERROR") == []
    again = bare.call("apply", *bare.named, "--yes")
    assert again.code == 0 and "Nothing to do" in again.out
    over = bare.call("resume", "--yes")
    assert over.code == 0 and "Nothing to do: there is no unfinished run" in over.out
    done_before = bare.call("resume", "1", "--yes")
    assert done_before.code == 0 and "Nothing to do: run 1 is done" in done_before.out


def test_a_plan_that_the_clusters_have_left_behind(ends: dict[str, Done]) -> None:
    done = ends["stale plan"]
    assert done.code == 5 and "changed since this plan was made" in done.err and "Make the plan again" in done.err


def test_an_agent_that_dies_while_it_is_asked(bare: Lab, ends: dict[str, Done]) -> None:
    bare.tell(lambda control: control.api(EAST, exec_cut=200))
    try:
        done = bare.check()
    finally:
        bare.tell(lambda control: control.api(EAST))
    assert done.code == 1 and done.found("FAIL", "ERROR") == [("CM0102", EAST)]
    unread = {subject for code, subject in done.found("UNKNOWN", "BLOCKED") if code == "CM0701"}
    assert unread == {f"{EAST} → {TOKYO}", f"{EAST} → {trio.OSAKA}"}
    assert bare.check().code == 0


if sys.platform != "linux":
    pytest.skip("processes are counted in /proc", allow_module_level=True)
