"""The file store: nothing is lost by a kill, two processes do not collide, files are private."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backends.lab.control import URL_VARIABLE
from backends.store import FileStore, write_private
from backends.wiring import open_ports
from mesh.errors import Refused


def test_records_come_back_in_order(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state")
    run = store.next_run()
    for number in range(5):
        store.append(run, {"kind": "step", "n": number})
    assert [record["n"] for record in store.read(run)] == [0, 1, 2, 3, 4]
    assert stat.S_IMODE(store.journal_path(run).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_journal_cut_at_any_byte_keeps_every_whole_record(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    run = store.next_run()
    for number in range(3):
        store.append(run, {"n": number, "text": "ä"})
    path = store.journal_path(run)
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = content[:length].count(b"\n")
        ends_whole = length and content[length : length + 1] == b"\n"
        assert len(store.read(run)) == whole + bool(ends_whole)
        store.append(run, {"n": 9})
        records = store.read(run)
        assert records[-1] == {"n": 9}
        assert [record["n"] for record in records[:-1]] == list(range(whole + bool(ends_whole)))


def test_two_stores_never_get_one_number(tmp_path: Path) -> None:
    numbers = [FileStore(tmp_path).next_run() for _ in range(10)]
    assert numbers == list(range(1, 11))
    assert FileStore(tmp_path).runs() == numbers


def test_values_are_replaced_whole(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert store.get("choice") is None
    store.put("choice", ["a", "b"])
    assert store.get("choice") == ["a", "b"]
    (tmp_path / "choice.json").write_text("{broken")
    assert store.get("choice") is None


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_private(target, b"old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        write_private(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_unwritable_place_refuses_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileStore(tmp_path / "file")
    with pytest.raises(Refused, match="journal cannot be written"):
        store.next_run()
    assert store.runs() == []


def test_a_run_belongs_to_the_process_that_carries_it_out(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    run = store.next_run()
    lines = "import sys; from pathlib import Path; from backends.store import FileStore; "
    lines += "FileStore(Path(sys.argv[1])).append(1, {}); print('mine', flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", lines, str(tmp_path)]
    other = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert other.stdout is not None and other.stdout.readline() == b"mine\n"
        with pytest.raises(Refused, match="Run 1 is being carried out by another process"):
            store.append(run, {"kind": "resume"})
    finally:
        other.kill()
        other.communicate()
    store.append(run, {"kind": "resume"})
    assert store.read(run) == [{}, {"kind": "resume"}]


def test_a_run_that_was_given_back_is_free_for_another_process(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    run = store.next_run()
    store.append(run, {"kind": "run"})
    lines = "import sys; from pathlib import Path; from backends.store import FileStore; "
    lines += "FileStore(Path(sys.argv[1])).append(1, {'kind': 'resume'})"
    argv = [sys.executable, "-c", lines, str(tmp_path)]
    refused = subprocess.run(argv, capture_output=True, cwd=Path(__file__).parents[2], check=False)
    assert refused.returncode != 0 and b"is being carried out by another process" in refused.stderr
    store.release(run)
    subprocess.run(argv, capture_output=True, cwd=Path(__file__).parents[2], check=True)
    assert store.read(run) == [{"kind": "run"}, {"kind": "resume"}]


def test_runs_in_a_lab_do_not_count_as_runs_on_real_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHWRIGHT_STATE_DIR", str(tmp_path))
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    own = open_ports(lab=True).store
    assert [own.next_run(), own.next_run()] == [1, 2]
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:1")
    assert open_ports().store.runs() == [1, 2], "a shell that has the variables of lab up"
    monkeypatch.delenv(URL_VARIABLE)
    assert open_ports().store.runs() == [] and open_ports().store.next_run() == 1
