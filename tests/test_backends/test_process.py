"""Starting other programs: their output, their end, and that none outlives us."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends import process

PYTHON = sys.executable
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def until(condition: object, seconds: float = 10.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


async def test_output_errors_and_code() -> None:
    script = "import sys; print('out'); print('\\x1b[31merr\\x1b[0m', file=sys.stderr); sys.exit(3)"
    done = await process.run([PYTHON, "-c", script], seconds=20)
    assert (done.code, done.output, done.errors.strip()) == (3, b"out\n", "err")
    assert not done.timed_out


async def test_lines_come_cleaned_and_from_both_streams_while_it_runs() -> None:
    script = (
        "import sys\n"
        "print('one\\x1b]0;title\\x07', flush=True)\n"
        "sys.stdin.read()\n"
        "print('two\\rthree\\n\\nfour', end='', file=sys.stderr, flush=True)"
    )
    lines: list[str] = []
    seen = []
    done = await process.run(
        [PYTHON, "-c", script], send=b"", seconds=20, line=lines.append, started=lambda *a: seen.append(a)
    )
    assert done.code == 0
    assert lines == ["one", "two", "three", "four"]
    ((pid, started),) = seen
    assert pid > 0
    assert abs(started - time.time()) < 60


async def test_stdin_is_closed_and_there_is_no_terminal() -> None:
    script = (
        "import os, sys\n"
        "try: os.open('/dev/tty', os.O_RDWR); tty = 'tty'\n"
        "except OSError: tty = 'none'\n"
        "print(repr(sys.stdin.read()), tty, os.getsid(0) == os.getpid())"
    )
    done = await process.run([PYTHON, "-c", script], seconds=20)
    assert done.output.split() == [b"''", b"none", b"True"]


async def test_what_is_sent_arrives() -> None:
    done = await process.run([PYTHON, "-c", "print(input()[::-1])"], send=b"abc\n", seconds=20)
    assert done.output == b"cba\n"
    deaf = await process.run([PYTHON, "-c", "import os; os.close(0)"], send=b"x" * 1_000_000, seconds=20)
    assert deaf.code == 0


@pytest.mark.parametrize("stubborn", [False, True])
async def test_at_the_deadline_the_whole_group_ends(stubborn: bool, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else "pass"
    child = f"import signal, time; {ignore}; print('ready', flush=True); time.sleep(60)"
    script = (
        f"import subprocess, sys, os\n"
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        f"p.stdout.readline()\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{p.pid}}')\n"
        f"p.wait()"
    )
    began = time.monotonic()
    done = await process.run([PYTHON, "-c", script], seconds=1.5)
    assert done.timed_out
    assert time.monotonic() - began < 8
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: gone(pid))


async def test_cancelling_ends_it(tmp_path: Path) -> None:
    seen: list[int] = []
    running = asyncio.Event()

    def started(pid: int, _: float) -> None:
        seen.append(pid)
        running.set()

    task = asyncio.create_task(process.run([PYTHON, "-c", "import time; time.sleep(60)"], seconds=60, started=started))
    await asyncio.wait_for(running.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(seen[0])


async def test_a_grandchild_that_keeps_the_pipes_does_not_hold_us_up() -> None:
    child = "import time; time.sleep(30)"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); print('done')"
    began = time.monotonic()
    done = await process.run([PYTHON, "-c", script], seconds=20)
    assert (done.code, done.output) == (0, b"done\n")
    assert time.monotonic() - began < 6


async def test_what_is_kept_is_bounded() -> None:
    script = "import sys\nfor _ in range(100): sys.stdout.write('x' * 10000)"
    lines: list[str] = []
    done = await process.run([PYTHON, "-c", script], seconds=20, max_bytes=1000, line=lines.append)
    assert len(done.output) == 1000
    assert done.truncated
    assert sum(map(len, lines)) == 1_000_000


@pytest.mark.parametrize(
    ("argv", "missing", "said"),
    [
        (["no-such-program-anywhere"], True, "not installed"),
        (["/etc/passwd"], False, "may not be run"),
        (["a\0b"], False, "null"),
    ],
)
async def test_what_cannot_be_started(argv: list[str], missing: bool, said: str) -> None:
    with pytest.raises(process.NotStarted) as caught:
        await process.run(argv, seconds=5)
    assert caught.value.missing is missing
    assert said in caught.value.why
    with pytest.raises(process.NotStarted):
        process.run_on_terminal(argv)


def test_pid_and_start_time_name_a_process() -> None:
    child = subprocess.Popen([PYTHON, "-c", "import time; time.sleep(60)"])
    try:
        started = process.start_time(child.pid)
        assert process.alive(child.pid, started)
        assert not process.alive(child.pid, started - 5)
    finally:
        child.kill()
        until(lambda: not process.alive(child.pid, started))
        child.wait()
    assert process.start_time(child.pid) == 0.0


@LINUX
def test_children_die_with_us(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        "import asyncio\n"
        "from backends import process\n"
        f"def started(pid, _): open({str(pid_file)!r}, 'w').write(str(pid))\n"
        "asyncio.run(process.run(['sleep', '60'], seconds=60, started=started))"
    )
    parent = subprocess.Popen([PYTHON, "-c", script], cwd=Path(__file__).parents[2])
    try:
        until(lambda: pid_file.exists() and pid_file.read_text() != "", 20)
        child = int(pid_file.read_text())
        assert not gone(child)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until(lambda: gone(child))


@LINUX
def test_a_child_that_ends_with_us_can_say_so_and_put_things_in_order(tmp_path: Path) -> None:
    """helm says that it was cancelled, then marks its release: of a closed pipe it would die in between."""
    ready, order = tmp_path / "ready", tmp_path / "order"
    child = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        "    for _ in range(50):\n"
        "        print('cancelled', flush=True); print('!', file=sys.stderr, flush=True); time.sleep(0.01)\n"
        f"    pathlib.Path({str(order)!r}).touch(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    script = (
        "import asyncio, sys\n"
        "from backends import process\n"
        f"asyncio.run(process.run([sys.executable, '-c', {child!r}], seconds=60))"
    )
    parent = subprocess.Popen([PYTHON, "-c", script], cwd=Path(__file__).parents[2])
    try:
        until(ready.exists, 20)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until(order.exists)


def test_on_the_terminal_output_can_be_kept_back() -> None:
    assert process.ask_on_terminal([PYTHON, "-c", "print('token')"], {**os.environ}) == (0, b"token\n")
    assert process.run_on_terminal([PYTHON, "-c", "raise SystemExit(4)"]) == 4
