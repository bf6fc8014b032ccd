"""Kubeconfigs that are no use, API servers that answer nonsense or nothing, no terminal: said in words, by a child."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_walk.walking import Done, call, run

ANSWERS = {
    "html": "not JSON",
    "401": "did not accept the credentials",
    "403": "refuses this user",
    "429": "overloaded",
    "500": "answered 500",
    "hang": "does not answer",
    "nobody": "connection refused",
}


class _Odd(http.server.BaseHTTPRequestHandler):
    """Answers as the first part of the path says."""

    ending = threading.Event()

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "hang":
            self.ending.wait(60)
            return
        html = kind in ("html", "500")
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 0, "message": "no"}
        body = b"<html>Sign in</html>" if html else json.dumps(status).encode()
        self.send_response(200 if kind == "html" else int(kind))
        self.send_header("Content-Type", "text/html" if html else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """The test's output is not the place."""


def kubeconfig(path: Path, servers: dict[str, str]) -> Path:
    """A file with one context per server, of its name."""
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in servers],
                "clusters": [{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
                "users": [{"name": "me", "user": {"token": "word"}}],
            }
        )
    )
    return path


def cli(folder: Path, file: Path, *argv: str) -> Done:
    """A call with this kubeconfig; nothing that it says may be a traceback."""
    done = run(*argv, env={"KUBECONFIG": str(file), "MESHWRIGHT_STATE_DIR": str(folder / "state")})
    assert "Traceback" not in done.out + done.err
    return done


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("odd")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        at = f"http://127.0.0.1:{server.server_port}"
        servers = {name: f"{at}/{name}" for name in ANSWERS} | {"nobody": "http://127.0.0.1:9"}
        contexts = [word for name in servers for word in ("--context", name)]
        yield cli(folder, kubeconfig(folder / "config", servers), "check", *contexts, "-o", "json")
    finally:
        _Odd.ending.set()
        server.shutdown()
        serving.join(10)
        server.server_close()


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_api_server_that_cannot_be_read(answered: Done, kind: str) -> None:
    assert answered.code == 3
    roots = {one["root"]["subject_text"]: one["root"] for one in answered.report["problems"]}
    root = roots[kind]
    assert (root["code"], root["state"]) == ("CM0002", "UNKNOWN")
    assert ANSWERS[kind] in root["message"] and root["fixes"]
    assert not [code for code, subject in answered.found("PASS") if kind in subject and code != "CM0001"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no file"),
        ("", "No contexts in"),
        ("a: [", "line 2"),
        ("folder", "it is a directory. Name a file in it."),
        ("loop", "Too many levels of symbolic links"),
    ],
    ids=["missing", "empty", "invalid", "folder", "loop"],
)
def test_a_kubeconfig_that_is_no_use(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "config"
    if content == "folder":
        file.mkdir()
    elif content == "loop":
        file.symlink_to(file)
    elif content is not None:
        file.write_text(content)
    done = cli(tmp_path, file, "check", "--context", "a")
    assert done.code == 2 and done.out == ""
    assert "There is no context a" in done.err and str(file) in done.err and said in done.err


@pytest.mark.parametrize("argv", [("--context", "eks-tokyo"), ()])
def test_a_shell_whose_lab_has_ended(tmp_path: Path, argv: tuple[str, ...]) -> None:
    gone = {"MESHWRIGHT_LAB_CONTROL": "http://127.0.0.1:1", "MESHWRIGHT_LAB_TOKEN_FILE": str(tmp_path / "token")}
    shell = {**gone, "KUBECONFIG": str(tmp_path / "gone")}
    done = call("check", *argv, env=shell)
    assert done.code == 2 and "has ended: meshwright lab up" in done.err
    for words in (("state",), ("inject", "exec-denied"), ("clear", "exec-denied"), ("faults",)):
        asked = call("lab", *words, env=shell)
        assert asked.code == 3 and "has ended" in asked.err and "meshwright lab up" in asked.err
    wrong = call("lab", "inject", "exec-denied:aks-east", env=shell)
    assert wrong.code == 2 and "exec-denied:target=aks-east" in wrong.err


@pytest.mark.parametrize("command", ["plan", "apply", "graph", "rights"])
def test_an_api_server_that_nobody_answers_for_leaves_it_open(tmp_path: Path, command: str) -> None:
    file = kubeconfig(tmp_path / "config", {"a": "http://127.0.0.1:9", "b": "http://127.0.0.1:9"})
    done = cli(tmp_path, file, command, "--context", "a", "--context", "b", *(["--yes"] if command == "apply" else ()))
    assert done.code == 3
    said = " ".join((done.out + done.err).split())
    if command == "graph":
        assert said.count("not reachable") == 2
    else:
        assert "connection refused" in said and "Check that you are in the network" in said
    assert command != "apply" or "Nothing was changed" in done.err
    assert not list(tmp_path.rglob("*.jsonl"))


def test_what_is_named_wrongly(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", {"a": "https://127.0.0.1:9", "b": "https://127.0.0.1:9"})
    unknown = cli(tmp_path, file, "check", "--context", "c")
    assert unknown.code == 2 and "There is no context c" in unknown.err and "Known: a, b" in unknown.err
    twice = cli(tmp_path, file, "plan", "--context", "a", "--context", "a")
    assert twice.code == 2 and "a is given twice" in twice.err
    again = cli(tmp_path, file, "plan", "--cluster", "one=a", "--cluster", f"two=a@{file}")
    assert again.code == 2 and "one and two are the same cluster" in again.err and str(file) in again.err


def test_no_terminal(tmp_path: Path) -> None:
    done = cli(tmp_path, kubeconfig(tmp_path / "config", {"a": "https://127.0.0.1:9"}))
    assert done.code == 2 and "needs a terminal" in done.err and "meshwright check" in done.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("check", "--lab", "frehs"), "did you mean fresh?"),
        (("check", "--lab", "fresh:vxlan-oneway"), "did you mean vxlan-one-way?"),
        (("check", "--lab", ""), "There are: classic, fresh"),
        (("graph", "--lab", ":exec-denied"), "--lab names no scenario"),
    ],
)
def test_a_name_that_the_lab_does_not_have(argv: tuple[str, ...], said: str) -> None:
    done = call(*argv)
    assert done.code == 2 and said in done.err and done.out == ""
