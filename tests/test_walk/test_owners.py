"""Cilium that the provider or a GitOps controller owns is told and left alone."""

from tests.test_walk import trio
from tests.test_walk.trio import OSAKA
from tests.test_walk.walking import TOKYO, lab


def test_cilium_of_somebody_else_is_refused_with_the_reason() -> None:
    with lab("owned", speed=60, module=trio.MODULE) as running:
        plan = running.call("plan", *running.named)
        assert plan.code == 5
        blockers = [line for line in plan.out.splitlines() if line.startswith("✗ CM0")]
        assert [line.split()[1:3] for line in blockers] == [["CM0204", f"{TOKYO}:"], ["CM0205", f"{OSAKA}:"]]
        said = " ".join(plan.out.split())
        assert "managed by the cloud's add-on manager: label addonmanager.kubernetes.io/mode=Reconcile" in said
        assert "owned by Argo CD (mesh): annotation argocd.argoproj.io/tracking-id" in said
        done = running.call("apply", *running.named, "--yes")
        assert done.code == 5 and "CM0204" in done.err and "meshwright explain CM0204" in done.err
        assert not running.journal(), "nothing was begun"
