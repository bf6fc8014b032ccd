"""One session by hand, with the values of the screen design: its pictures do not change with the engine's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mesh import events as ev
from mesh import explain
from mesh.facts import FactKey, Reason
from mesh.finding import Command, EvidenceRef, Finding, Fix, Missing, Problem, Risk, Severity, State
from mesh.goal import ClusterGoal, Goal
from mesh.model.picture import ClusterBox, Health, Lane, Link, MeshPicture, NodeDot, Plane, ServiceLanes
from mesh.plan import Blocker, HelmApply, Plan, Prove, Step
from mesh.subject import OfCluster, OfPair, OfService
from tui.session import RunView, Session, on_events
from tui.work.judge import Judgement

TOKYO, EAST, DR = "eks-tokyo", "aks-east", "kind-dr"
AT = 1_700_000_000.0
_WORDS = {
    "CM0403": "sg-0a1b…9c has no rule for 8472/udp",
    "CM0321": "pool 10.0.0.0/8 covers vNet 10.224.0.0/12",
    "CM0322": "services 10.201.0.0/16 inside the pool",
    "CM0504": "MTU 1500, VPN carries 1446: set 1400",
    "CM0102": "pods/exec denied: agents unknown",
    "CM0804": "eks-tokyo has no ready endpoint, serves from remote",
}


@contextmanager
def fixed_words(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Messages of findings from this file."""
    told = SimpleNamespace(
        why="VXLAN is two one-way flows; this direction has no rule of its own.",
        docs=("clustermesh/ports", "cloud/security-groups"),
    )
    with patch.context() as here:
        here.setattr(explain, "message", lambda finding, short=False: _WORDS.get(finding.code, finding.code))
        here.setattr(explain, "title", lambda code: _WORDS.get(code, code))
        here.setattr(explain, "BY_CODE", {finding.code: told for finding in FINDINGS})
        yield


def _found(code: str, subject: object, state: State, layer: int, **more: object) -> Finding:
    return Finding(code, subject, state, Severity.CRITICAL, layer, **more)  # type: ignore[arg-type]  # a test's shorthand


OPEN = Command(
    ("aws", "ec2", "authorize-security-group-ingress", "--group-id", "sg-0a1b2c3d4e5f6a79c", "--ip-permissions", "…"),
    TOKYO,
)
RULE = _found(
    "CM0403",
    OfPair(EAST, TOKYO, directed=True),
    State.FAIL,
    4,
    evidence=(
        EvidenceRef(None, "route 10.224.0.4 → vng-mesh → vgw-07…d2", "azure", AT - 12, state="PASS"),
        EvidenceRef(
            FactKey("cloud.firewall", OfCluster(TOKYO)),
            "sg-0a1b…9c: 6 inbound rules, none matches udp/8472 from 10.224.0.0/16",
            "aws",
            AT - 12,
            state="FAIL",
        ),
    ),
    fixes=(
        Fix("open", "open 8472/udp from 10.224.0.0/16 on sg-0a1b…9c", (OPEN,), in_plan=True),
        Fix("wider", "open 8472/udp from 10.224.0.0/12", (OPEN,)),
    ),
)
OVERLAP = _found("CM0321", OfCluster(EAST), State.FAIL, 3, fixes=(Fix("range", "choose a free range"),))
INSIDE = _found("CM0322", OfCluster(EAST), State.FAIL, 3)
SMALL = _found(
    "CM0504", OfPair(EAST, TOKYO), State.WARN, 4, fixes=(Fix("mtu", "set 1400", in_plan=True),), planned=True
)
UNREAD = _found(
    "CM0102",
    OfCluster(EAST),
    State.UNKNOWN,
    1,
    missing=(
        Missing(FactKey("cilium.agents", OfCluster(EAST)), Reason.FORBIDDEN, "403", "create pods/exec in kube-system"),
    ),
)
SERVED = _found("CM0804", OfService("auth", "jwt"), State.INFO, 8)
BLOCKED = _found("CM0326", OfCluster(EAST), State.BLOCKED, 3, blocked_by=(("CM0321", OfCluster(EAST)),))
FINDINGS = (
    RULE, OVERLAP, INSIDE, SMALL, UNREAD, SERVED, BLOCKED,
    *(_found(f"CM00{number:02d}", OfCluster(TOKYO), State.PASS, 0) for number in range(1, 5)),
    _found("CM0310", OfCluster(TOKYO), State.NOT_APPLICABLE, 3),
    _found("CM0901", OfCluster(TOKYO), State.ERROR, 9),
)  # fmt: skip
PROBLEMS = (
    Problem(RULE, (), (), "certain", 1),
    Problem(OVERLAP, (INSIDE, BLOCKED), (), "certain", 2),
    Problem(SMALL, (), (), "certain", 3),
    Problem(UNREAD, (), (), "possible", 4),
)
GOAL = Goal(
    (
        ClusterGoal(TOKYO, TOKYO, 1, ("10.120.0.0/16",), "1.19.5", sources={"pods": "default"}),
        ClusterGoal(EAST, EAST, 2, ("10.200.0.0/16",), "1.19.5", sources={"name": "in force"}),
    ),
    sources={"mtu": "edited"},
)
HELM = Command(
    ("helm", "upgrade", "--install", "cilium", "cilium/cilium", "--version", "1.19.5", "-n", "kube-system"), TOKYO
)


def _step(number: int, title: str, clusters: tuple[str, ...], needs: tuple[int, ...] = (), **more: object) -> Step:
    given = {"why": "no CNI runs after step 3; same datapath as aks-east", "effects": (), "until": (), **more}
    names = tuple(f"s{need}" for need in needs)
    return Step(f"s{number}", title, clusters, needs=names, **given)  # type: ignore[arg-type]  # a test's shorthand


_DROP = "every node's network is replaced; open connections may drop"
BOTH = (TOKYO, EAST)
PLAN = Plan(
    "7c1e",
    "Join eks-tokyo and aks-east",
    BOTH,
    GOAL,
    (
        _step(0, "check the VPN between the sites", BOTH, already=True, risk=Risk.NONE),
        _step(1, "open 8472/udp, 4240/tcp, ICMP", (TOKYO,), undo="revoke by rule id"),
        _step(2, "place one CA (cilium-ca)", BOTH),
        _step(3, "park aws-node and kube-proxy", (TOKYO,), (2,), risk=Risk.DISRUPTIVE,
              consequence="pods get no new addresses until step 4 is done, about 3 m"),
        _step(4, "install Cilium 1.19.5, id 1", (TOKYO,), (2, 3), risk=Risk.DISRUPTIVE, codes=("CM0306",), usual=180.0,
              effects=(HelmApply(TOKYO, "1.19.5", {"cluster": {"name": TOKYO, "id": 1}}),), consequence=_DROP,
              commands=(HELM,), undo="helm uninstall, un-park",
              diff=("+ cluster.name eks-tokyo", "+ cluster.id 1", "+ MTU 1400")),
        _step(5, "install Cilium 1.19.5, id 2", (EAST,), (2,), usual=150.0),
        _step(6, "restart pods older than Cilium", (TOKYO,), (4,), risk=Risk.DISRUPTIVE,
              consequence="212 pods restart, one workload at a time"),
        _step(7, "wait for private API addresses", BOTH, (4, 5), risk=Risk.NONE),
        _step(8, "open the mesh path", BOTH, (7,)),
        _step(9, "connect both ways", BOTH, (1, 8)),
        _step(10, "prove: agents, probes, one service", BOTH, (9,), risk=Risk.NONE,
              effects=(Prove(BOTH, "nginx:1"),)),
    ),
)  # fmt: skip


def _plane(health: Health, good: int = 0, total: int = 0, text: str = "") -> Plane:
    return Plane(health, good, total, text)


def _link(a: str, b: str, *, closed_back: bool = False, some: int = 9) -> Link:
    agents = _plane(Health.OK, 3, 3, "3/3 agents")
    trip = Health.DOWN if closed_back else Health.OK if some == 9 else Health.DEGRADED
    return Link(
        a,
        b,
        agents,
        agents,
        _plane(Health.OK, text="predicted open"),
        _plane(Health.DOWN, text="predicted closed (CM0403)")
        if closed_back
        else _plane(Health.OK, text="predicted open"),
        _plane(trip, 0 if closed_back else some, 9, f"endpoints {0 if closed_back else some}/9"),
        ("CM0403",) if closed_back else (),
    )


def _box(key: str, number: int, cloud: str, cidr: str, nodes: tuple[str, ...]) -> ClusterBox:
    return ClusterBox(key, key, number, cloud, (cidr,), tuple(NodeDot(name, True) for name in nodes))


def _lane(key: str, ready: int | None, affinity: str, chosen: dict[str, int]) -> Lane:
    return Lane(key, ready, None if ready is None else max(ready, 2), affinity, ready is not None, True, chosen)


PICTURE = MeshPicture(
    (
        _box(TOKYO, 1, "AWS", "10.120.0.0/16", ("ip-192-168-1-10", "ip-192-168-1-48", "ip-192-168-2-11")),
        _box(EAST, 2, "Azure", "10.200.0.0/16", ("aks-np1-vmss000000", "aks-np1-vmss000001", "aks-np1-vmss000002")),
        _box(DR, 3, "kind", "10.130.0.0/16", ("kind-dr-control-plane", "kind-dr-worker", "kind-dr-worker2")),
    ),
    (_link(TOKYO, EAST, closed_back=True), _link(TOKYO, DR, some=6), _link(EAST, DR)),
    (
        ServiceLanes("auth", "jwt", (
            _lane(TOKYO, 0, "local", {EAST: 5, DR: 3}),
            _lane(EAST, 5, "local", {EAST: 5}),
            _lane(DR, 3, "local", {DR: 3}),
        ), ("CM0804",)),
        ServiceLanes("mail", "relay", (
            _lane(TOKYO, None, "none", {}), _lane(EAST, 3, "remote", {EAST: 3}), _lane(DR, 0, "remote", {EAST: 3}),
        )),
        ServiceLanes("shop", "cart", (
            _lane(TOKYO, 2, "none", {TOKYO: 2, EAST: 2}),
            _lane(EAST, 2, "none", {TOKYO: 2, EAST: 2}),
            _lane(DR, None, "none", {}),
        )),
    ),
)  # fmt: skip


def judgement(plan: Plan = PLAN, picture: MeshPicture = PICTURE) -> Judgement:
    """What the checks said."""
    counts = {state: sum(finding.state is state for finding in FINDINGS) for state in State}
    return Judgement(BOTH, FINDINGS, PROBLEMS, counts, 1, GOAL, plan, picture, "", AT)


def session(base: Session, **changes: object) -> Session:
    """A session that has read and judged."""
    gathering = replace(
        base.gathering, state="done", clusters=BOTH, started=AT - 24, ended=AT - 12, known=54, unknown=2
    )
    now = replace(base, now=AT, gathering=gathering, chosen=BOTH, judged=judgement())
    return replace(now, **changes)  # type: ignore[arg-type]  # a test's shorthand


BLOCKED_PLAN = Plan(
    "7c1e", PLAN.title, BOTH, GOAL, PLAN.steps, (Blocker("CM0321", EAST, "CM0321"),), made_at=AT
)  # fmt: skip


def run(*, failed: bool = False) -> RunView:
    """Run 12 of the plan, in its fourth and fifth step."""
    told: list[ev.Event] = [ev.RunStarted(12, "7c1e")]
    for number, seconds in ((1, 4.0), (2, 6.0), (3, 9.0)):
        told += [ev.StepStarted(f"s{number}", AT - 300), ev.StepDone(f"s{number}", "done", AT - 290, seconds)]
    told += [ev.StepStarted("s4", AT - 203), ev.StepWaiting("s4", "agents ready 209/212", AT + 397)]
    told += [ev.StepStarted("s5", AT - 70)]
    if failed:
        told += [
            ev.StepDone("s4", "failed", AT, 203.0, "still waiting for: agents ready 209/212", RULE),
            ev.StepDone("s5", "done", AT, 70.0),
            ev.RunDone(12, "failed", 222.0, "Stopped at s4"),
        ]
    started = Session(run=RunView(PLAN, 12, "running", AT - 222))
    view = on_events(started, told).run
    assert view is not None
    return view


OUTPUT = (
    "$ helm upgrade --install cilium cilium/cilium --version 1.19.5 -n kube-system",
    "$ 09:41:07 Release \"cilium\" does not exist. Installing it now.",
    *(f"$ 09:44:{second:02d} agents ready {200 + second // 5}/212" for second in range(10, 60)),
)  # fmt: skip
