"""Helm releases in the lab: written, changed, cut off, given back (cilium-clustermesh §2.6, §10)."""

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from backends.lab.charts import ChartError
from backends.lab.charts.trees import overlay
from backends.lab.commands.kube.port import ApiFailure
from backends.lab.commands.releases.errors import Busy, Cancelled, NameInUse, NoDeployed, NotFound, ReleaseError
from backends.lab.commands.releases.install import install
from backends.lab.commands.releases.record import from_secret
from backends.lab.commands.releases.rollback import rollback
from backends.lab.commands.releases.uninstall import uninstall
from backends.lab.commands.releases.upgrade import upgrade
from backends.lab.world import World
from tests.test_lab.releasing import MESH, NEW, OLD, Killed, Place, authority

APPS, BATCH = "apps", "batch"
HOOK = "clustermesh-apiserver-generate-certs"
CRON: dict[str, Any] = {
    "clustermesh": {"apiserver": {"tls": {"auto": {"method": "cronJob", "schedule": "0 0 1 */4 *"}}}}
}


@pytest.fixture
def place() -> Iterator[Place]:
    found = Place(World(seed=5))
    yield found
    found.world.clusters["eks-one"].close()


@pytest.fixture
def installed(place: Place) -> Place:
    install(place.port, OLD, MESH, options=place.options())
    return place


def test_an_install_leaves_helm_s_secret(installed: Place) -> None:
    secret = installed.need("", "secrets", "sh.helm.release.v1.cilium.v1")
    assert secret["type"] == "helm.sh/release.v1"
    labels = secret["metadata"]["labels"]
    assert {key: labels[key] for key in ("owner", "name", "status", "version")} == {
        "owner": "helm",
        "name": "cilium",
        "status": "deployed",
        "version": "1",
    }
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    assert release["info"]["status"] == "deployed"
    assert release["info"]["description"] == "Install complete"
    assert (
        release["chart"]["metadata"] | {"version": "1.15.19", "appVersion": "1.15.19"} == release["chart"]["metadata"]
    )
    assert release["chart"]["values"]["cluster"] == {"id": 0, "name": "default"}
    assert release["config"] == MESH
    assert "kind: DaemonSet" in release["manifest"]


def test_every_object_is_helm_s_own_and_written_alone(installed: Place) -> None:
    made = [name for verb, kind, name in installed.port.writes if verb == "create" and kind != "Secret"]
    assert len(made) > 15
    agent = installed.need(APPS, "daemonsets", "cilium")["metadata"]
    assert agent["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert agent["annotations"]["meta.helm.sh/release-name"] == "cilium"
    # The release is recorded before the first object, so that a kill never leaves objects of nobody.
    assert installed.port.writes[0] == ("create", "Secret", "sh.helm.release.v1.cilium.v1")


def test_a_name_is_used_once(installed: Place) -> None:
    with pytest.raises(NameInUse, match="cannot re-use a name that is still in use"):
        install(installed.port, OLD, MESH, options=installed.options())


def test_nothing_to_upgrade(place: Place) -> None:
    with pytest.raises(NoDeployed, match='"cilium" has no deployed releases'):
        upgrade(place.port, OLD, MESH, options=place.options())
    with pytest.raises(NotFound):
        rollback(place.port, options=place.options())


def test_values_that_the_chart_refuses_change_nothing(installed: Place) -> None:
    before = len(installed.port.writes)
    with pytest.raises(ChartError):
        upgrade(installed.port, NEW, {"cluster": {"id": 7}}, options=installed.options())
    assert len(installed.port.writes) == before


@pytest.mark.parametrize(
    ("policy", "given", "expected"),
    [
        ("default", {"MTU": 1400}, {"MTU": 1400}),
        ("default", {}, MESH),
        ("reset", {"MTU": 1400}, {"MTU": 1400}),
        ("reuse", {"MTU": 1400}, {**MESH, "MTU": 1400}),
        ("reset-then-reuse", {"MTU": 1400}, {**MESH, "MTU": 1400}),
        ("reset-then-reuse", {"clustermesh": {"config": None}}, {**MESH, "clustermesh": {"useAPIServer": True}}),
    ],
)
def test_values_are_kept_as_told(installed: Place, policy: Any, given: Any, expected: Any) -> None:
    upgrade(installed.port, OLD, given, policy=policy, options=installed.options())
    assert installed.last().config == expected


def test_reused_values_keep_the_old_chart_s_defaults(installed: Place) -> None:
    """New keys of a newer chart stay unknown with ``--reuse-values`` and come with ``--reset-then-reuse-values``."""
    kept = overlay(MESH, {"clustermesh": {"apiserver": {"service": {"externalTrafficPolicy": "Cluster"}}}})
    newer = type(OLD)(type(OLD.version).parse("1.16.5"))
    upgrade(installed.port, newer, kept, policy="reset-then-reuse", options=installed.options())
    values = installed.last().chart["values"]["clustermesh"]["apiserver"]["kvstoremesh"]
    assert values["enabled"] is True
    rollback(installed.port, 1, options=installed.options())
    with pytest.raises(ChartError, match="specifications of the schema"):
        upgrade(installed.port, newer, kept, policy="reuse", options=installed.options())


def test_an_upgrade_supersedes_and_removes_what_is_no_longer_rendered(installed: Place) -> None:
    off = {"clustermesh": {"useAPIServer": False}}
    upgrade(installed.port, OLD, off, policy="reuse", options=installed.options())
    assert installed.history() == [(1, "superseded", "Install complete"), (2, "deployed", "Upgrade complete")]
    assert installed.get(APPS, "deployments", "clustermesh-apiserver") is None
    assert installed.get("", "services", "clustermesh-apiserver") is None
    assert installed.get(APPS, "deployments", "cilium-operator") is not None


def test_the_authority_survives_every_upgrade(installed: Place) -> None:
    before = installed.need("", "secrets", "cilium-ca")["data"]
    upgrade(installed.port, NEW, {}, policy="reset-then-reuse", options=installed.options())
    assert installed.need("", "secrets", "cilium-ca")["data"] == before


def test_what_others_added_stays_and_what_they_changed_goes_back(installed: Place) -> None:
    installed.patch("", "configmaps", "cilium-config", {"data": {"mtu": "9", "cluster-id": "200"}})
    installed.patch(APPS, "daemonsets", "cilium", {"metadata": {"annotations": {"someone": "else"}}})
    restarted = {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}
    installed.patch(APPS, "daemonsets", "cilium", {"spec": restarted})
    upgrade(installed.port, OLD, {"debug": {"enabled": True}}, policy="reuse", options=installed.options())
    data = installed.need("", "configmaps", "cilium-config")["data"]
    assert (data["mtu"], data["cluster-id"], data["debug"]) == ("9", "1", "true")
    agent = installed.need(APPS, "daemonsets", "cilium")
    assert agent["metadata"]["annotations"]["someone"] == "else"
    # The chart of 1.15 renders a null there, which takes even kubectl's restart mark away.
    assert not agent["spec"]["template"]["metadata"].get("annotations")


def test_an_unchanged_object_is_not_written(installed: Place) -> None:
    installed.port.writes.clear()
    upgrade(installed.port, OLD, {"debug": {"enabled": True}}, policy="reuse", options=installed.options())
    changed = {name for verb, kind, name in installed.port.writes if kind != "Secret"}
    assert "cilium-config" in changed
    assert "cilium-operator" not in changed


def test_an_object_of_somebody_else_stops_an_install(place: Place) -> None:
    secret = {"metadata": {"name": "cilium-ca", "namespace": "kube-system"}, "data": {}, "type": "Opaque"}
    place.objects.create(place.objects.resources["", "secrets"], secret)
    data = {key: base64.b64encode(value).decode() for key, value in authority().items()}
    place.patch("", "secrets", "cilium-ca", {"data": data})
    with pytest.raises(ReleaseError) as refused:
        install(place.port, OLD, MESH, options=place.options())
    assert str(refused.value) == (
        'Unable to continue with install: Secret "cilium-ca" in namespace "kube-system" exists and cannot be imported '
        "into the current release: invalid ownership metadata; label validation error: missing key "
        '"app.kubernetes.io/managed-by": must be set to "Helm"; annotation validation error: missing key '
        '"meta.helm.sh/release-name": must be set to "cilium"; annotation validation error: missing key '
        '"meta.helm.sh/release-namespace": must be set to "kube-system"'
    )
    with pytest.raises(NotFound):
        place.storage.last("cilium")
    marks = {"meta.helm.sh/release-name": "cilium", "meta.helm.sh/release-namespace": "kube-system"}
    owner = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": marks}
    place.patch("", "secrets", "cilium-ca", {"metadata": owner})
    install(place.port, OLD, MESH, options=place.options())
    assert place.need("", "secrets", "cilium-ca")["data"] == data


def test_taking_ownership(place: Place) -> None:
    service = {
        "metadata": {"name": "clustermesh-apiserver", "namespace": "kube-system"},
        "spec": {"ports": [{"port": 2379}]},
    }
    place.objects.create(place.objects.resources["", "services"], service)
    with pytest.raises(ReleaseError, match="invalid ownership metadata"):
        install(place.port, OLD, MESH, options=place.options())
    install(place.port, OLD, MESH, options=place.options(take_ownership=True))
    spec = place.need("", "services", "clustermesh-apiserver")["spec"]
    assert spec["selector"] == {"k8s-app": "clustermesh-apiserver"}


def test_a_kill_leaves_a_pending_release_that_only_a_rollback_frees(installed: Place) -> None:
    installed.kill_before("patch", "ConfigMap", "cilium-config")
    with pytest.raises(Killed):
        upgrade(installed.port, OLD, {"MTU": 1400}, policy="reuse", options=installed.options())
    installed.recover()
    assert [status for _, status, _ in installed.history()] == ["deployed", "pending-upgrade"]
    with pytest.raises(Busy, match=r"another operation \(install/upgrade/rollback\) is in progress"):
        upgrade(installed.port, OLD, {}, options=installed.options())
    rollback(installed.port, options=installed.options())
    assert [status for _, status, _ in installed.history()] == ["superseded", "pending-upgrade", "deployed"]
    upgrade(installed.port, OLD, {"MTU": 1400}, policy="reuse", options=installed.options())
    assert installed.need("", "configmaps", "cilium-config")["data"]["mtu"] == "1400"


def test_a_killed_install_is_pending_and_can_be_removed(place: Place) -> None:
    place.kill_before("create", "DaemonSet", "cilium")
    with pytest.raises(Killed):
        install(place.port, OLD, MESH, options=place.options())
    place.recover()
    assert [status for _, status, _ in place.history()] == ["pending-install"]
    with pytest.raises(ReleaseError, match="release has no 0 version"):
        rollback(place.port, options=place.options())
    uninstall(place.storage, "cilium", place.options())
    assert place.get("", "configmaps", "cilium-config") is None


def test_a_signal_marks_the_release_failed(installed: Place) -> None:
    def cancel(verb: str, kind: str, name: str) -> None:
        if kind == "ConfigMap":
            installed.recover()
            raise Cancelled

    installed.port.before_write = cancel
    with pytest.raises(Cancelled):
        upgrade(installed.port, OLD, {"MTU": 1400}, policy="reuse", options=installed.options())
    assert installed.history()[-1] == (2, "failed", 'Upgrade "cilium" failed: context canceled')


def test_a_failed_upgrade_leaves_the_old_revision_in_force(installed: Place) -> None:
    installed.refuse("patch", "ConfigMap", "cilium-config")
    with pytest.raises(ReleaseError, match='cannot patch "cilium-config" with kind ConfigMap: denied by a webhook'):
        upgrade(installed.port, OLD, {"MTU": 1400}, policy="reuse", options=installed.options())
    assert [status for _, status, _ in installed.history()] == ["deployed", "failed"]
    installed.recover()
    upgrade(installed.port, OLD, {"MTU": 1300}, policy="reuse", options=installed.options())
    assert [status for _, status, _ in installed.history()] == ["superseded", "failed", "deployed"]
    # The failed revision's values are not the ones reused.
    assert installed.last().config == {**MESH, "MTU": 1300}


def test_refusals_while_installing_are_told_all_at_once(place: Place) -> None:
    def refuse(verb: str, kind: str, name: str) -> None:
        if kind == "ClusterRole":
            raise ApiFailure(403, "Forbidden", f"no {name}")

    place.port.before_write = refuse
    with pytest.raises(ReleaseError) as failed:
        install(place.port, OLD, MESH, options=place.options())
    text = str(failed.value)
    assert text.startswith("3 errors occurred:\n\t* no ")
    assert place.history()[-1][1] == "failed"
    assert place.get(APPS, "daemonsets", "cilium") is not None, "the rest is created all the same"


def test_waiting_ends_with_the_patience(installed: Place) -> None:
    balancer = {"clustermesh": {"apiserver": {"service": {"type": "LoadBalancer"}}}}
    began = installed.now
    with pytest.raises(ReleaseError, match="context deadline exceeded"):
        upgrade(installed.port, OLD, balancer, policy="reuse", options=installed.options(wait=True))
    assert 60 <= installed.now - began < 63
    assert installed.history()[-1][1] == "failed"


def test_atomic_goes_back_by_itself(installed: Place) -> None:
    balancer = {"clustermesh": {"apiserver": {"service": {"type": "LoadBalancer"}}}}
    # Nothing becomes ready in a store without controllers, so that the way back waits in vain as well.
    with pytest.raises(ReleaseError):
        upgrade(installed.port, OLD, balancer, policy="reuse", options=installed.options(atomic=True))
    assert installed.need("", "services", "clustermesh-apiserver")["spec"]["type"] == "NodePort"


def test_a_hook_is_made_anew_and_waited_for(place: Place) -> None:
    def complete() -> None:
        job = place.get(BATCH, "jobs", HOOK)
        if job is not None:
            status = {"conditions": [{"type": "Complete", "status": "True"}]}
            place.objects.set_status(place.objects.resources[BATCH, "jobs"], "kube-system", HOOK, status)

    place.while_waiting = complete
    install(place.port, OLD, overlay(MESH, CRON), options=place.options())
    first = place.need(BATCH, "jobs", HOOK)["metadata"]["uid"]
    upgrade(place.port, OLD, {}, options=place.options())
    assert place.need(BATCH, "jobs", HOOK)["metadata"]["uid"] != first
    assert [hook["last_run"]["phase"] for hook in place.last().hooks] == ["Succeeded"]
    assert "kind: Job" not in place.last().manifest, "a hook is no part of the manifest"


def test_a_hook_that_does_not_end(place: Place) -> None:
    with pytest.raises(ReleaseError) as failed:
        install(place.port, OLD, overlay(MESH, CRON), options=place.options())
    expected = "failed post-install: 1 error occurred:\n\t* timed out waiting for the condition\n\n"
    assert str(failed.value) == expected
    assert place.last().description == f'Release "cilium" failed: {expected}'
    with pytest.raises(
        ReleaseError, match=r"post-upgrade hooks failed: resource Job/kube-system/.* not ready"
    ) as other:
        upgrade(place.port, OLD, {}, options=place.options(cli=True))
    assert "status: InProgress" in str(other.value)


def test_a_hook_that_fails_says_why(place: Place) -> None:
    def fail() -> None:
        condition = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
        jobs = place.objects.resources[BATCH, "jobs"]
        place.objects.set_status(jobs, "kube-system", HOOK, {"conditions": [condition]})

    place.while_waiting = fail
    with pytest.raises(ReleaseError, match=f"job {HOOK} failed: BackoffLimitExceeded"):
        install(place.port, OLD, overlay(MESH, CRON), options=place.options())


def test_hooks_can_be_left_out(place: Place) -> None:
    install(place.port, OLD, overlay(MESH, CRON), options=place.options(hooks=False))
    assert place.get(BATCH, "jobs", HOOK) is None


def test_history_is_limited_but_what_is_in_force_stays(installed: Place) -> None:
    for mtu in (1400, 1300):
        installed.refuse("patch", "ConfigMap", "cilium-config")
        with pytest.raises(ReleaseError):
            upgrade(installed.port, OLD, {"MTU": mtu}, policy="reuse", options=installed.options(history_max=2))
        installed.recover()
    assert [(number, status) for number, status, _ in installed.history()] == [(1, "deployed"), (3, "failed")]


def test_a_rollback_is_a_new_revision(installed: Place) -> None:
    upgrade(installed.port, NEW, {}, policy="reset-then-reuse", options=installed.options())
    rollback(installed.port, 1, options=installed.options())
    assert installed.history() == [
        (1, "superseded", "Install complete"),
        (2, "superseded", "Upgrade complete"),
        (3, "deployed", "Rollback to 1"),
    ]
    image = installed.need(APPS, "daemonsets", "cilium")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert ":v1.15.19" in image
    with pytest.raises(ReleaseError, match="release has no 9 version"):
        rollback(installed.port, 9, options=installed.options())


def test_uninstall_takes_everything_or_keeps_the_history(installed: Place) -> None:
    uninstall(installed.storage, "cilium", installed.options(), keep_history=True)
    assert installed.history()[-1][1:] == ("uninstalled", "Uninstallation complete")
    assert installed.get(APPS, "daemonsets", "cilium") is None
    with pytest.raises(ReleaseError, match='the release named "cilium" is already deleted'):
        uninstall(installed.storage, "cilium", installed.options(), keep_history=True)
    install(installed.port, OLD, MESH, options=installed.options(replace=True))
    assert installed.history()[-1] == (2, "deployed", "Install complete")
    uninstall(installed.storage, "cilium", installed.options())
    with pytest.raises(ReleaseError, match="uninstall: Release not loaded: cilium: release: not found"):
        uninstall(installed.storage, "cilium", installed.options())


def test_an_object_with_the_keep_policy_outlives_its_release(installed: Place) -> None:
    plain = "metadata:\n  name: cilium-config\n"
    kept = plain.replace("metadata:\n", "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n")
    release = installed.last()
    release.manifest = release.manifest.replace(plain, kept)
    installed.storage.update(release)
    said = uninstall(installed.storage, "cilium", installed.options())
    assert said == "These resources were kept due to the resource policy:\n[ConfigMap] cilium-config\n"
    assert installed.get("", "configmaps", "cilium-config") is not None


def test_dry_runs_write_nothing(installed: Place) -> None:
    installed.port.writes.clear()
    release = upgrade(installed.port, NEW, {}, policy="reset-then-reuse", options=installed.options(dry_run="server"))
    assert release.description == "Dry run complete"
    assert "v1.20.2" in release.manifest
    uninstall(installed.storage, "cilium", installed.options(dry_run="server"))
    rollback(installed.port, 1, options=installed.options(dry_run="server"))
    assert installed.port.writes == []


def test_records_of_older_helm_are_read_without_compression() -> None:
    body = json.dumps({"name": "cilium", "version": 4, "info": {"status": "deployed"}}).encode()
    secret = {"data": {"release": base64.b64encode(base64.b64encode(body)).decode()}}
    found = from_secret(secret)
    assert (found.name, found.revision, found.status, found.config) == ("cilium", 4, "deployed", {})


def test_two_at_once_do_not_make_the_same_revision(installed: Place) -> None:
    def other(verb: str, kind: str, name: str) -> None:
        if (verb, name) == ("create", "sh.helm.release.v1.cilium.v2"):
            installed.recover()
            upgrade(installed.port, OLD, {"MTU": 1300}, policy="reuse", options=installed.options())

    installed.port.before_write = other
    with pytest.raises(ReleaseError, match="release: already exists"):
        upgrade(installed.port, OLD, {"MTU": 1400}, policy="reuse", options=installed.options())
    assert installed.last().config["MTU"] == 1300
