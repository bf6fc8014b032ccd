"""Kubeconfig files that are broken, huge, hostile or merely unusual: named by line, or read as kubectl does."""

import base64
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.kubeconfig.listing import Kubeconfig
from backends.kubeconfig.yamltext import BadText, parse
from tests.test_backends.test_kubeconfig import EKS_ARN, TWO, one, reader, write

_NOBODY = 65534


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"contexts:\n- name: a\n\tcontext: {}\n", "line 3: found a tab"),
        (b"contexts:\n- name: 12\n", "line 2: contexts[0].name: Expected str, got int"),
        (b"contexts: []\nusers: nobody\n", "line 2: users: Expected array, got str"),
        (b"- a\n- b\n", "line 1: this is not a mapping"),
        (b"{", "did not find expected node"),
        (b"kind: Pod\napiVersion: v1\n", "it is a v1 Pod"),
        (b"contexts:\n- {name: a}\n- {name: a}\n", "two contexts are named 'a'"),
        (b"\xff\xfe\n", "line 1: it is not UTF-8"),
        (b"a: \x00b\n", "line 1: character 0"),
        (b"a: &x [*x]\n", "an anchor contains itself"),
        (b"[" * 200_000, "nested too deeply"),
        (b"- " * 200_000, "nested too deeply"),
        (b"a: " + b"x" * (17 << 20), "larger than 16 MiB"),
        (b"a: !!python/object/apply:os.system [true]\n", "could not determine a constructor"),
    ],
)
def test_a_broken_file_says_what_is_wrong_and_the_others_work(tmp_path: Path, content: bytes, said: str) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    listed = reader(broken, write(tmp_path, "good", TWO)).contexts()
    assert [ref.key for ref in listed.contexts] == ["first", "second"]
    (problem,) = listed.problems
    assert problem.file == str(broken)
    assert said in problem.problem


def test_aliases_that_explode_are_refused_quickly(tmp_path: Path) -> None:
    lists = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{','.join(9 * [f'*a{i - 1}'])}]\n" for i in range(1, 12))
    merges = "a0: &a0 {x: 1}\n" + "".join(
        f"a{i}: &a{i} {{<<: [{','.join(9 * [f'*a{i - 1}'])}]}}\n" for i in range(1, 12)
    )
    began = time.monotonic()
    for name, text in (("lists", lists), ("merges", merges)):
        (problem,) = reader(write(tmp_path, name, text)).contexts().problems
        assert "aliases expand" in problem.problem
    assert time.monotonic() - began < 2


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret", TWO)
    secret.chmod(0)
    root = not os.geteuid()
    try:
        if root:
            os.seteuid(_NOBODY)  # root may read everything
        (problem,) = reader(secret).contexts().problems
    finally:
        if root:
            os.seteuid(0)
    assert (problem.file, problem.problem) == (str(secret), "it may not be read")
    assert "chmod u+r" in problem.hint


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    problems = {problem.file: problem.problem for problem in reader(tmp_path, fifo).contexts().problems}
    assert problems[str(tmp_path)] == "it is a directory"
    assert problems[str(fifo)] == "nothing came out of it"


def test_json_and_null_and_anchors_are_kubeconfigs_too(tmp_path: Path) -> None:
    text = '{"contexts":\t[{"name": "a", "context": {"cluster": "c", "user": "u"}}]}'
    assert one(write(tmp_path, "json", text)).key == "a"
    assert reader(write(tmp_path, "empty", "")).contexts().problems == ()
    assert reader(write(tmp_path, "comment", "# nothing\n")).contexts().problems == ()
    anchored = "x: &c {cluster: c, user: u}\ncontexts: [{name: a, context: *c}, {name: b, context: {<<: *c}}]"
    listed = reader(write(tmp_path, "anchors", anchored)).contexts().contexts
    assert [(ref.key, ref.cluster_entry) for ref in listed] == [("a", "c"), ("b", "c")]


def test_scalars_are_read_as_kubectl_reads_them() -> None:
    assert parse("[12:30, 2024-01-01, y, 0x1f, 1e3, 010, ~, 1_000, =]") == [
        "12:30", "2024-01-01", True, 31, 1000.0, 8, None, 1000, "="
    ]  # fmt: skip


def test_fifty_contexts_take_less_than_ten_milliseconds(tmp_path: Path) -> None:
    ca = base64.b64encode(os.urandom(1100)).decode()
    names = [EKS_ARN.replace("mesh-eks", f"c{i}") for i in range(50)]
    text = "clusters:\n" + "".join(
        f"- cluster:\n    certificate-authority-data: {ca}\n    server: https://c\n  name: {name}\n" for name in names
    )
    text += "contexts:\n" + "".join(
        f"- context:\n    cluster: {name}\n    user: {name}\n  name: {name}\n" for name in names
    )
    text += "users:\n" + "".join(
        f"- name: {name}\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n"
        f"      command: aws\n      args:\n      - eks\n      - get-token\n      - --cluster-name\n      - c\n"
        for name in names
    )
    config = reader(write(tmp_path, "a", text))
    assert len(config.contexts().contexts) == 50
    best = min(_cpu(config) for _ in range(7))
    # A slow machine is given slack by what it needs for the bare parse of the same text.
    assert best < max(0.010, 2.5 * min(_parse_seconds(text) for _ in range(5)))


def _cpu(config: Kubeconfig) -> float:
    began = time.process_time()
    config.contexts()
    return time.process_time() - began


def _parse_seconds(text: str) -> float:
    import yaml

    began = time.process_time()
    yaml.load(text, Loader=yaml.CSafeLoader)
    return time.process_time() - began


def test_listing_loads_no_sdk(tmp_path: Path) -> None:
    path = write(tmp_path, "a", TWO)
    code = (
        "import sys; from backends.kubeconfig.listing import Kubeconfig; "
        f"assert len(Kubeconfig([{str(path)!r}]).contexts().contexts) == 2; "
        "print(sorted(set(sys.modules) & {'kubernetes', 'aiohttp', 'boto3', 'azure', 'cryptography', 'ssl'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_either_a_kubeconfig_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    listed = reader(path).contexts()
    assert len(listed.problems) <= 1
    if not listed.problems:
        return
    assert all(ch.isprintable() for ch in listed.problems[0].problem)


@given(st.text(alphabet="ab:-[]{}&*<?|>'\"#, \n\t!%@~01", max_size=80))
@settings(max_examples=300, deadline=None)
def test_the_parser_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(BadText):
        parse(text)
