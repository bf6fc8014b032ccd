"""``lab up``: what it prints is all that another shell needs."""

import shlex
import signal

from tests.test_walk.walking import call, program


def test_another_shell_goes_on_with_what_is_printed() -> None:
    with program("lab", "up", "--scenario", "fresh", "--speed", "20") as running:
        running.said("# lab fresh")
        lines = running.out.splitlines()
        words = (shlex.split(line)[1].partition("=") for line in lines if line.startswith("export "))
        env = {name: value for name, _, value in words}
        command = shlex.split(lines[-1].partition("next: ")[2])
        assert command[:2] == ["meshwright", "check"]
        checked = call(*command[1:], "-o", "json", env=env)
        assert checked.code == 1 and checked.report["problems"][0]["root"]["code"] == "CM0403"
        assert "use the lines above in another shell" in running.err
        running.send(signal.SIGINT)
        assert running.ended().code == 130
