"""The lab as a process: how it starts, what it says, and everything that ends it."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from backends.lab.control import ControlError, LabControl
from backends.lab.launch import LabHandle, launch, start_lab
from mesh.errors import Exit, MeshError, UsageError
from tests.test_lab import small_lab

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def lab() -> AsyncIterator[LabHandle]:
    """A lab of the test's own, which it may end."""
    async with start_lab("small", module=small_lab.MODULE) as handle:
        yield handle


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[LabHandle]:
    """One lab for the tests that leave it as it was."""
    async with start_lab("small", module=small_lab.MODULE) as handle:
        yield handle


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition, and fail when it does not come."""
    for _ in range(int(seconds / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"it did not come true within {seconds} s")


def read(path: str) -> str:
    """The text of a file."""
    return Path(path).read_text("utf-8")


def open_to_others(folder: Path) -> list[Path]:
    """Files and folders below that somebody else could use."""
    return [path for path in [folder, *folder.rglob("*")] if stat.S_IMODE(path.stat().st_mode) & 0o077]


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def by_hand(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """The server started as a shell would start it, its stdin a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", small_lab.MODULE, "--scenario", "small", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


async def test_the_ready_line_names_everything_a_shell_needs(shared: LabHandle) -> None:
    assert shared.contexts == ("eks-one", "kind-two")
    named = {"kubeconfig", "contexts", "aws_endpoint", "azure_endpoint", "path", "control", "env"}
    assert named <= set(shared.ready)
    assert shared.env["KUBECONFIG"] == str(shared.kubeconfig)
    assert shared.env["PATH"].split(os.pathsep)[0] == str(shared.path)
    assert shared.env["AWS_PROFILE"] == "lab"
    files = [shared.kubeconfig, shared.path, shared.env["AWS_CONFIG_FILE"], shared.ready["token_file"]]
    assert all(map(os.path.exists, files))


async def test_nothing_secret_is_said_or_open_to_others(shared: LabHandle) -> None:
    token = read(shared.ready["token_file"])
    tokens = [user["user"].get("token") for user in yaml.safe_load(shared.kubeconfig.read_text())["users"]]
    for secret in filter(None, [token, *tokens]):
        assert secret not in json.dumps(dict(shared.ready))
    folder = shared.kubeconfig.parent
    assert not open_to_others(folder)


async def test_the_kubeconfig_has_the_forms_of_the_providers(shared: LabHandle) -> None:
    config = yaml.safe_load(shared.kubeconfig.read_text())
    users = {user["name"]: user["user"] for user in config["users"]}
    contexts = {context["name"]: context["context"] for context in config["contexts"]}
    arn = "arn:aws:eks:eu-west-1:111122223333:cluster/eks-one"
    assert contexts["eks-one"] == {"cluster": arn, "user": arn}
    plugin = users[arn]["exec"]
    assert plugin["command"] == "aws"
    assert " ".join(plugin["args"]) == "--region eu-west-1 eks get-token --cluster-name eks-one --output json"
    assert plugin["env"] == [{"name": "AWS_PROFILE", "value": "lab"}]
    assert users["kind-two"] == {"token": "kind-token"}
    for cluster in config["clusters"]:
        assert cluster["cluster"]["server"].startswith("https://127.0.0.1:")
    assert config["current-context"] == "eks-one"


def plugin(lab: LabHandle, *argv: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a command stand-in of the lab."""
    return subprocess.run(
        [str(lab.path / argv[0]), *argv[1:]],
        env={**lab.env, **env},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


async def test_a_credential_plugin_answers_as_it_was_asked_until_its_login_ends(shared: LabHandle) -> None:
    asked = ("aws", "--region", "eu-west-1", "eks", "get-token", "--cluster-name", "eks-one")
    for version in ("v1", "v1beta1"):
        info = json.dumps({"apiVersion": f"client.authentication.k8s.io/{version}", "kind": "ExecCredential"})
        answer = json.loads(plugin(shared, *asked, KUBERNETES_EXEC_INFO=info).stdout)
        assert answer["kind"] == "ExecCredential"
        assert answer["status"]["token"].startswith("k8s-aws-v1.")
    assert (await shared.control.state())["logins"] == {"aws-lab": True}
    await shared.control.login("aws-lab", valid=False)
    ended = plugin(shared, *asked)
    assert (ended.returncode, ended.stdout) == (255, "")
    assert "Token has expired" in ended.stderr
    assert plugin(shared, "aws", "sso", "login", "--profile", "lab").returncode == 0
    assert plugin(shared, *asked).returncode == 0
    assert (await shared.control.state())["logins"] == {"aws-lab": True}


async def test_a_plugin_starts_about_as_fast_as_an_empty_program(shared: LabHandle) -> None:
    def best(argv: list[str]) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(argv, env=dict(shared.env), capture_output=True, timeout=20, check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    empty = best([sys.executable, "-IS", "-c", "pass"])
    assert best([str(shared.path / "aws"), "eks", "get-token", "--cluster-name", "eks-one"]) < 5 * empty + 0.02


async def test_the_control_changes_the_world(lab: LabHandle) -> None:
    control: LabControl = lab.control
    assert [one["name"] for one in await control.scenarios()] == ["small", "broken"]
    assert (await control.faults())[0] == {
        "name": "node-cordoned",
        "title": "a node takes no pods",
        "layer": "tests",
        "active": False,
    }
    assert (await control.inject("node-cordoned", cluster="kind-two"))["faults"] == ["node-cordoned"]
    assert (await control.faults())[0]["active"] is True
    assert (await control.clear())["faults"] == []
    await control.speed(20)
    await control.pause()
    before = (await control.state())["clock"]
    await control.jump(3600)
    after = (await control.state())["clock"]
    assert (before["speed"], before["paused"]) == (20, True)
    assert after["now"] > before["now"]
    await control.api("eks-one", "status", status=500)
    state = {cluster["name"]: cluster["api"]["mode"] for cluster in (await control.state())["clusters"]}
    assert state == {"eks-one": "status", "kind-two": "serving"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda control: control.inject("none"), "no fault named 'none'"),
        (lambda control: control.inject("node-cordoned", place="x"), "node-cordoned: got an unexpected keyword"),
        (lambda control: control.api("none"), "no cluster none; there are: eks-one, kind-two"),
        (lambda control: control.api("eks-one", "asleep"), "no such mode: asleep"),
        (lambda control: control.jump(-5), "lab time does not run backwards"),
        (lambda control: control.login("none", valid=True), "no such login: none"),
    ],
)
async def test_what_the_control_cannot_do_it_says(shared: LabHandle, call: Any, words: str) -> None:
    before = await shared.control.state()
    with pytest.raises(ControlError, match=words.replace("(", r"\(")):
        await call(shared.control)
    assert (await shared.control.state())["faults"] == before["faults"]


async def test_the_control_needs_its_token_and_a_lab_that_runs(lab: LabHandle) -> None:
    with pytest.raises(ControlError, match="token is missing or wrong"):
        await LabControl(lab.ready["control"], "guess").state()
    with pytest.raises(ControlError, match="meshwright lab up"):
        LabControl.from_environment({})
    control = lab.control
    await lab.stop()
    with pytest.raises(ControlError, match="has ended") as unanswered:
        await control.state()
    assert "answers at http://127.0.0.1" in unanswered.value.detail and "meshwright lab up" in unanswered.value.hint
    with pytest.raises(ControlError, match="has ended") as unreadable:
        LabControl.from_environment(lab.env)
    assert "token cannot be read" in unreadable.value.detail and "meshwright lab up" in unreadable.value.hint


async def test_without_its_parts_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.lab.launch.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="parts are not installed") as missing:
        await launch("healthy")
    assert "meshwright[lab]" in missing.value.hint


async def test_the_block_s_end_ends_the_process_and_takes_its_folder_along() -> None:
    async with start_lab("small", module=small_lab.MODULE) as handle:
        pid, folder = handle.pid, handle.kubeconfig.parent
        assert alive(pid)
        assert folder.exists()
    assert not alive(pid)
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_it_cleanly(lab: LabHandle, number: signal.Signals) -> None:
    folder = lab.kubeconfig.parent
    lab.process.send_signal(number)
    assert await asyncio.wait_for(lab.process.wait(), 10) == 0
    assert not folder.exists()


async def test_signals_that_keep_coming_do_not_save_its_folder() -> None:
    async with start_lab("small", module=small_lab.MODULE) as handle:
        folder = handle.kubeconfig.parent
        async with asyncio.timeout(20):
            while handle.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    handle.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0)
        assert not folder.exists()


async def test_a_lab_that_was_killed_leaves_its_folder_to_its_launcher() -> None:
    async with start_lab("small", module=small_lab.MODULE) as handle:
        handle.process.kill()
        await handle.process.wait()
    assert not handle.kubeconfig.parent.exists()


async def test_it_ends_when_its_parent_closes_the_pipe() -> None:
    process = by_hand()
    try:
        assert process.stdout is not None and process.stdin is not None
        ready = json.loads(await asyncio.to_thread(process.stdout.readline))
        process.stdin.close()
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert not Path(ready["kubeconfig"]).parent.exists()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the signal at a parent's death is Linux's")
async def test_it_ends_when_its_launcher_is_killed() -> None:
    program = (
        "import asyncio\nfrom backends.lab.launch import launch\n"
        "async def main():\n"
        f"    lab = await launch('small', module='{small_lab.MODULE}')\n"
        "    print(lab.pid, lab.kubeconfig, flush=True)\n    await asyncio.sleep(600)\nasyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        pid, kubeconfig = (await asyncio.wait_for(parent.stdout.readline(), 20)).decode().split()
        parent.kill()
        await parent.wait()
        await until(lambda: not alive(int(pid)))
        await until(lambda: not Path(kubeconfig).parent.exists())
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.wait()


@pytest.mark.parametrize(
    ("scenario", "faults", "words"),
    [
        ("none", [], "no scenario named 'none'; there are: small, broken"),
        ("small", ["none"], "no fault named 'none'; there are: node-cordoned"),
        ("broken", [], "this scenario needs what is not there"),
    ],
)
async def test_a_lab_that_cannot_start_says_why(scenario: str, faults: list[str], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        await launch(scenario, faults, module=small_lab.MODULE)
    assert refused.value.exit_code == Exit.USAGE
    assert refused.value.detail == words
    process = by_hand("--scenario", scenario, *(["--fault", ",".join(faults)] if faults else []))
    out, errors = await asyncio.to_thread(process.communicate, None, 20)
    assert (process.returncode, out, errors) == (2, "", f"meshwright lab: {words}\n")


async def test_a_lab_that_is_not_ready_in_time_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_ready.py").write_text(
        "import sys, time\nprint('waiting', file=sys.stderr, flush=True)\ntime.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(MeshError, match="not ready after 1 s"):
        await launch("small", module="never_ready", deadline=1.0)
    assert time.monotonic() - began < 15


async def test_faults_are_in_from_the_start() -> None:
    async with start_lab("small", ["node-cordoned"], module=small_lab.MODULE) as lab:
        assert (await lab.control.state())["faults"] == ["node-cordoned"]


async def test_two_labs_side_by_side_do_not_disturb_each_other() -> None:
    async with (
        start_lab("small", module=small_lab.MODULE) as one,
        start_lab("small", module=small_lab.MODULE, speed=5.0) as two,
    ):
        servers = [{cluster["server"] for cluster in (await lab.control.state())["clusters"]} for lab in (one, two)]
        assert not servers[0] & servers[1]
        await one.control.inject("node-cordoned")
        await one.control.api("kind-two", "down")
        await one.control.login("aws-lab", valid=False)
        state = await two.control.state()
        assert (state["faults"], state["clock"]["speed"], state["logins"]) == ([], 5.0, {"aws-lab": True})
        assert {cluster["api"]["mode"] for cluster in state["clusters"]} == {"serving"}
        # The token of one lab's plugin is worth nothing in the other.
        token = json.loads(plugin(two, "aws", "eks", "get-token", "--cluster-name", "eks-one").stdout)["status"][
            "token"
        ]
        assert token
        await one.stop()
        assert alive(two.pid)
        assert (await two.control.state())["scenario"] == "small"
