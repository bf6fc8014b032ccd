"""The lab's ``helm`` over the lab's API: what it prints, how it ends. The real tier holds the words to the real one."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from backends.lab import commands_bin
from backends.lab.api.identity import Identity
from tests.test_lab.shell import Shell, shell

CHART = ("cilium", "--repo", "https://helm.cilium.io/", "--version", "1.19.5")
NAMED = ("--set", "cluster.name=east,cluster.id=1,operator.replicas=1,hubble.enabled=false")
KPR = ("--set", "kubeProxyReplacement=true,k8sServiceHost=127.0.0.1,k8sServicePort=443")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Shell]:
    async with shell(tmp_path) as found:
        yield found


async def test_a_release_lives(lab: Shell) -> None:
    first = await lab.helm("upgrade", "--install", "cilium", *CHART, *NAMED, *KPR, "--wait", "--timeout", "600s")
    assert first.code == 0, first.errors
    assert first.lines[:2] == ['Release "cilium" does not exist. Installing it now.', "NAME: cilium"]
    assert "STATUS: deployed" in first.lines
    values = lab.home / "values.json"
    values.write_text(json.dumps({"MTU": 1400, "cluster": {"name": "east"}}))
    second = await lab.helm(
        "upgrade", "cilium", *CHART, "--reset-then-reuse-values", "--values", str(values), "--set-string", "debug.x=1"
    )
    assert (second.code, second.lines[0]) == (0, 'Release "cilium" has been upgraded. Happy Helming!')
    got = await lab.helm("get", "values", "cilium", "--output", "json")
    found = json.loads(got.output)
    assert (found["MTU"], found["cluster"], found["debug"]) == (1400, {"id": 1, "name": "east"}, {"x": "1"})
    rows = json.loads((await lab.helm("list", "--all", "--filter", "^cilium$", "--output", "json")).output)
    assert [(row["revision"], row["status"], row["chart"]) for row in rows] == [("2", "deployed", "cilium-1.19.5")]
    back = await lab.helm("rollback", "cilium", "1")
    assert (back.code, back.output) == (0, "Rollback was a success! Happy Helming!\n")
    history = json.loads((await lab.helm("history", "cilium", "-o", "json")).output)
    assert [row["description"] for row in history] == ["Install complete", "Upgrade complete", "Rollback to 1"]
    gone = await lab.helm("uninstall", "cilium")
    assert gone.output == 'release "cilium" uninstalled\n'
    assert (await lab.helm("status", "cilium")).errors == "Error: release: not found\n"


async def test_a_context_with_a_credential_plugin(lab: Shell) -> None:
    await lab.helm("install", "cilium", *CHART, "--set", "cluster.name=west,cluster.id=2", "--kube-context", "west")
    rows = json.loads((await lab.helm("list", "-A", "-o", "json", "--kube-context", "west")).output)
    assert [row["name"] for row in rows] == ["cilium"]
    assert (lab.home / "plugin.log").read_text() == "called\n" * 2, "once a process"
    (lab.home / "plugin").write_text("#!/bin/sh\nexit 3\n")
    refused = await lab.helm("list", "--kube-context", "west")
    assert refused.code == 1
    assert "Kubernetes cluster unreachable: " in refused.errors
    assert "failed with exit code 3" in refused.errors


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, "failed"), (signal.SIGKILL, "pending-upgrade")])
async def test_cut_off(lab: Shell, number: signal.Signals, status: str) -> None:
    await lab.helm("install", "cilium", *CHART, *NAMED)
    # Without kube-proxy replacement's address no operator comes up: it waits for ever.
    values = ("--set", "k8sServiceHost=203.0.113.1", "--wait", "--timeout", "2400h")
    begun = lab.appearance("east", "Secret", "sh.helm.release.v1.cilium.v2")
    process = await lab.start("helm", "upgrade", "cilium", *CHART, *values, "--reuse-values", "-n", "kube-system")
    await asyncio.wait_for(begun.wait(), 30)
    process.send_signal(number)
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    history = json.loads((await lab.helm("history", "cilium", "-o", "json")).output)
    assert [row["status"] for row in history] == ["deployed", status]
    again = await lab.helm("upgrade", "cilium", *CHART, "--reuse-values")
    if number == signal.SIGTERM:
        assert output.decode().splitlines() == ["Release cilium has been cancelled."]
        assert errors.decode() == "Error: UPGRADE FAILED: context canceled\n"
        assert again.code == 0
    else:
        assert again.errors == ("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress\n")


async def test_what_a_user_may_not(lab: Shell) -> None:
    east = lab.cluster("east")
    east.identities.add("weak", Identity("weak", ()))
    lab.reconfigure("east-token", "weak")
    refused = await lab.helm("list")
    assert refused.code == 1
    assert refused.errors.startswith('Error: list: failed to list: secrets is forbidden: User "weak" cannot list')
    lab.reconfigure("token: weak", "token: nobody")
    unknown = await lab.helm("upgrade", "cilium", *CHART)
    expected = "Kubernetes cluster unreachable: the server has asked for the client to provide credentials"
    assert unknown.errors == f"Error: UPGRADE FAILED: {expected}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("upgrade cilium", '"helm upgrade" requires 2 arguments\n\nUsage:  helm upgrade [RELEASE] [CHART] [flags]'),
        ("status", '"helm status" requires 1 argument\n\nUsage:  helm status RELEASE_NAME [flags]'),
        ("list x", '"helm list" accepts no arguments\n\nUsage:  helm list [flags]'),
        ("list --nope", "unknown flag: --nope"),
        ("list -zz", "unknown shorthand flag: 'z' in -zz"),
        ("list -o xml", 'invalid argument "xml" for "-o, --output" flag: invalid format type'),
        ("upgrade a b --timeout 5", 'invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"'),
        ("history x --max y", 'invalid argument "y" for "--max" flag: strconv.ParseInt: parsing "y": invalid syntax'),
        ("upgrade a b --set", "flag needs an argument: --set"),
        ("fly", 'unknown command "fly" for "helm"\nRun \'helm --help\' for usage.'),
        ("install x", "INSTALLATION FAILED: must either provide a name or specify --generate-name"),
        ("upgrade x ./nowhere", 'path "./nowhere" not found'),
        ("upgrade x cilium/cilium", "repo cilium not found"),
        ("upgrade x cilium", "non-absolute URLs should be in form of repo_name/path_to_chart, got: cilium"),
        (
            "upgrade x cilium --repo https://helm.cilium.io --version 1.14.1",
            'chart "cilium" version "1.14.1" not found in https://helm.cilium.io repository',
        ),
        ("list --kube-context nope", 'Kubernetes cluster unreachable: context "nope" does not exist'),
        ("list --kubeconfig /gone", "Kubernetes cluster unreachable: stat /gone: no such file or directory"),
    ],
)
async def test_command_lines_that_are_refused(tmp_path: Path, line: str, words: str) -> None:
    plain = _plain(tmp_path)
    said = await plain.run("helm", *line.split())
    assert (said.code, said.output, said.errors) == (1, "", f"Error: {words}\n")


async def test_values_files_that_are_refused(tmp_path: Path) -> None:
    plain = _plain(tmp_path)
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "bad.yaml").write_text("a: [")
    chart = ("upgrade", "x", *CHART)
    said = await plain.run("helm", *chart, "-f", "list.yaml")
    assert "failed to parse list.yaml: error unmarshaling JSON: " in said.errors
    said = await plain.run("helm", *chart, "-f", "bad.yaml")
    assert "failed to parse bad.yaml: error converting YAML to JSON: yaml: line" in said.errors
    said = await plain.run("helm", *chart, "--set", "a")
    assert said.errors == 'Error: failed parsing --set data: key "a" has no value\n'


async def test_repositories(tmp_path: Path) -> None:
    plain = _plain(tmp_path)
    assert (await plain.run("helm", "repo", "list")).errors == "Error: no repositories to show\n"
    url = "https://helm.cilium.io/"
    added = await plain.run("helm", "repo", "add", "cilium", url)
    assert added.output == '"cilium" has been added to your repositories\n'
    config = tmp_path / ".config" / "helm" / "repositories.yaml"
    assert [entry["url"] for entry in yaml.safe_load(config.read_text())["repositories"]] == [url]
    assert config.stat().st_mode & 0o777 == 0o600
    again = await plain.run("helm", "repo", "add", "cilium", url)
    assert again.output == '"cilium" already exists with the same configuration, skipping\n'
    updated = await plain.run("helm", "repo", "update")
    assert updated.lines[-1] == "Update Complete. ⎈Happy Helming!⎈"
    shown = await plain.run("helm", "show", "chart", "cilium/cilium", "--version", "1.16")
    assert yaml.safe_load(shown.output)["version"] == "1.16.19"
    other = await plain.run("helm", "repo", "add", "other", "https://charts.example.org")
    assert 'looks like "https://charts.example.org" is not a valid chart repository' in other.errors


async def test_template_and_version_need_no_cluster(tmp_path: Path) -> None:
    plain = _plain(tmp_path)
    said = await plain.run("helm", "template", "cilium", *CHART, "-n", "kube-system", *NAMED)
    kinds = {item["kind"] for item in yaml.safe_load_all(said.output)}
    assert {"ConfigMap", "DaemonSet", "Deployment"} <= kinds
    version = await plain.run("helm", "version", "--template", "{{.Version}}")
    assert version.output == "v3.22.0"


async def test_what_the_lab_installs_runs_by_itself(tmp_path: Path) -> None:
    commands_bin.install(tmp_path / "bin", tmp_path / "logins")
    for program, words in (("helm", "version.BuildInfo"), ("cilium", "Usage:")):
        process = await asyncio.create_subprocess_exec(
            tmp_path / "bin" / program,
            *(["version"] if program == "helm" else []),
            stdout=asyncio.subprocess.PIPE,
            cwd="/",
            env={"HOME": str(tmp_path)},
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, output.decode().startswith(words)) == (0, True)


def _plain(home: Path) -> Shell:
    """Commands without a cluster."""
    return Shell(None, home, {"HOME": str(home), "PATH": "/usr/bin:/bin"})  # type: ignore[arg-type]  # not asked for
