"""L6: each side trusts what the other shows, today and next month."""

from datetime import UTC, datetime
from typing import Final

from mesh import catalogue as fact
from mesh.finding import Check, Command, EvidenceRef, Fix, Risk, Scope, Severity, State, Verdict
from mesh.model.cilium import Certificate, LeafCertificate, MeshCertificates
from mesh.subject import OfPair, Subject
from mesh.view import View, in_force, without_cilium

_DAY: Final = 86400.0
_SOON: Final = 30 * _DAY
# What peers see or use of a cluster: its server, and its clients in other clusters.
_ABROAD: Final = ("server", "remote")
_PLACE: Final = ("-n", "kube-system")
_PEM: Final = 'go-template={{index .data "ca.crt" | base64decode}}'
_DATA: Final = r'jsonpath={"{\"data\":"}{.data}{"}"}'
_INPUTS: Final = (fact.SETTINGS.name, fact.CERTIFICATES.name)


def _needs_cilium(view: View, subject: Subject) -> str:
    return without_cilium(view, *subject.clusters())


def _spki(certificates: MeshCertificates) -> frozenset[str]:
    """Public keys of the CAs in force for peers: the bundle where there is one, else the cluster's own CA."""
    trusted = certificates.trusted or ((certificates.ca,) if certificates.ca else ())
    return frozenset(ca.spki_sha256 for ca in trusted)


def _abroad(certificates: MeshCertificates) -> list[LeafCertificate]:
    return [leaf for leaf in certificates.leaves if any(f"-{role}-" in leaf.secret for role in _ABROAD)]


def _trust(view: View, subject: Subject) -> Verdict:
    assert isinstance(subject, OfPair)
    a, b = subject.clusters()
    certificates = view.every(fact.CERTIFICATES, (a, b))
    args: dict[str, object] = {"left": a, "right": b}
    without = [c for c in (a, b) if certificates[c].ca is None and not certificates[c].leaves]
    if without:
        aimed = any(view.goal(cluster) for cluster in (a, b))
        if aimed or not all(in_force(view, cluster) for cluster in (a, b)):
            return Verdict(State.INFO, {"clusters": tuple(without)}, to_do=True)
        reason = f"{', '.join(without)} has no certificates: Cluster Mesh is not enabled"
        return Verdict(State.NOT_APPLICABLE, {"reason": reason})
    notes = tuple(_note(view, cluster, certificates[cluster]) for cluster in (a, b))
    for server, client in ((a, b), (b, a)):
        trouble = _untrusted(certificates[server], certificates[client])
        if trouble is not None:
            variant, named = trouble
            named |= {"owner": server, "other": client}
            # A leaf of another key than the CA in force is issued again; no CA has to change for it.
            leaf = _renew(view, server, certificates[server]) if variant else ()
            return Verdict(State.FAIL, named, variant, notes, leaf or _share_ca(view, certificates))
    broken = [(cluster, name) for cluster in (a, b) for name in certificates[cluster].problems]
    if broken:
        named = {"cluster": broken[0][0], "secrets": tuple(name for _, name in broken)}
        return Verdict(State.UNKNOWN, named, "unreadable", notes, (_look(view, *broken[0]),))
    ours, theirs = certificates[a].ca, certificates[b].ca
    if ours and theirs and ours.spki_sha256 != theirs.spki_sha256:
        return Verdict(State.PASS, args, "bundle", notes)
    key = next((ca.spki_sha256 for ca in (ours, theirs) if ca), "")
    return Verdict(State.PASS, args | {"key": key[:16]}, notes=notes)


def _untrusted(shown: MeshCertificates, trusting: MeshCertificates) -> tuple[str, dict[str, object]] | None:
    """Why ``trusting`` does not accept what ``shown`` presents: its CA, or a leaf signed by another key."""
    trusted = _spki(trusting)
    if shown.ca is not None and shown.ca.spki_sha256 not in trusted:
        return "", {"key": shown.ca.spki_sha256[:16]}
    for leaf in _abroad(shown):
        if leaf.signed_by and not trusted & set(leaf.signed_by):
            return "leaf", {"secret": leaf.secret, "key": leaf.signed_by[0][:16]}
        if not leaf.signed_by:
            return "stranger", {"secret": leaf.secret, "issuer": leaf.certificate.issuer}
    return None


def _note(view: View, cluster: str, certificates: MeshCertificates) -> EvidenceRef:
    trusted = ", ".join(sorted(key[:16] for key in _spki(certificates))) or "none"
    own = certificates.ca.spki_sha256[:16] if certificates.ca else "none"
    source = "cilium-root-ca.crt" if certificates.has_bundle else "cilium-ca"
    return view.note(fact.CERTIFICATES, cluster, f"{cluster}: own CA {own}, trusts {trusted} ({source})")


def _share_ca(view: View, certificates: dict[str, MeshCertificates]) -> tuple[Fix, ...]:
    """Trust both CAs, which moves no key; or give the second cluster the first one's."""
    a, b = certificates
    show = tuple(view.kubectl(c, *_PLACE, "get", "secret", "cilium-ca", "-o", _PEM) for c in (a, b))
    values = ("--set", "tls.caBundle.enabled=true", "--set-file", "tls.caBundle.content=cas.pem")
    change = tuple(command for c in (a, b) for command in view.helm_upgrade(c, *values))
    restart = tuple(_restart(view, c) for c in (a, b))
    both = Fix(
        "trust-both",
        "trust both CAs: write the two certificates that are printed into cas.pem, which both get as tls.caBundle",
        (*show, *change, *restart),
        Risk.DISRUPTIVE,
    )
    if certificates[a].ca is None:
        return (both,)
    copy = view.kubectl(a, *_PLACE, "get", "secret", "cilium-ca", "-o", _DATA)
    put = view.kubectl(b, *_PLACE, "patch", "secret", "cilium-ca", "--type", "merge", "--patch-file", "/dev/stdin")
    one = Fix(
        "one-ca",
        f"give {b} the CA of {a}, issue its certificates again, restart mesh API and agents",
        (copy.into(put), *_issue(view, b, certificates[b]), _restart(view, b)),
        Risk.DISRUPTIVE,
    )
    return both, one


def _no_certificates(view: View, subject: Subject) -> str:
    reason = _needs_cilium(view, subject)
    if reason:
        return reason
    certificates = view.fact(fact.CERTIFICATES, subject)
    some = certificates.ca or certificates.leaves or certificates.trusted or certificates.problems
    return "" if some else "there are no mesh certificates yet"


def _dated(certificates: MeshCertificates) -> list[tuple[str, Certificate]]:
    """Everything with a date, named as its Secret or ConfigMap is."""
    found = [("cilium-ca", certificates.ca)] if certificates.ca else []
    named = [(f"trusted CA {ca.subject}", ca) for ca in certificates.trusted if ca != certificates.ca]
    return [*found, *named, *((leaf.secret, leaf.certificate) for leaf in certificates.leaves)]


def _valid(view: View, subject: Subject) -> Verdict:
    (cluster,) = subject.clusters()
    certificates = view.fact(fact.CERTIFICATES, subject)
    now = view.now() + view.fact(fact.CLOCK_SKEW, subject)
    dated = _dated(certificates)
    notes = tuple(
        view.note(fact.CERTIFICATES, cluster, f"{name}: {_day(one.not_before)} to {_day(one.not_after)}")
        for name, one in dated
    )
    ended = [(name, one) for name, one in dated if one.not_after <= now]
    if ended:
        named: dict[str, object] = {"names": tuple(name for name, _ in ended), "day": _day(ended[0][1].not_after)}
        return Verdict(State.FAIL, named, notes=notes, fixes=_renew(view, cluster, certificates))
    early = [(name, one) for name, one in dated if one.not_before > now]
    if early:
        named = {"names": tuple(name for name, _ in early), "day": _day(early[0][1].not_before)}
        return Verdict(State.FAIL, named, "early", notes, _renew(view, cluster, certificates))
    if certificates.problems:
        look = _look(view, cluster, certificates.problems[0])
        return Verdict(State.UNKNOWN, {"secrets": certificates.problems}, "unreadable", notes, (look,))
    soonest = min(dated, key=lambda item: (item[1].not_after, item[0]))
    args: dict[str, object] = {"name": soonest[0], "day": _day(soonest[1].not_after)}
    if soonest[1].not_after - now < _SOON:
        left = int((soonest[1].not_after - now) // _DAY)
        return Verdict(State.WARN, args | {"days": left}, notes=notes, fixes=_renew(view, cluster, certificates))
    if certificates.renewal_failed:
        return Verdict(State.WARN, {"day": args["day"]}, "renewal", notes, _renew(view, cluster, certificates))
    if certificates.method == "cronJob" and not certificates.renewal_schedule:
        schedule = "clustermesh.apiserver.tls.auto.schedule=0 0 1 */4 *"
        commands = view.helm_upgrade(cluster, "--set", schedule)
        fix = Fix("schedule", "let a CronJob renew them every four months", commands, Risk.LOW)
        return Verdict(State.WARN, {"day": args["day"]}, "no-schedule", notes, (fix,))
    return Verdict(State.PASS, args, notes=notes)


def _day(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "never"


def _renew(view: View, cluster: str, certificates: MeshCertificates) -> tuple[Fix, ...]:
    """Issue again, then let the processes read: by the CronJob where there is one, else by an upgrade."""
    commands = (*_issue(view, cluster, certificates), _restart(view, cluster))
    return (Fix("renew", "issue the certificates again, then restart what reads them", commands, Risk.DISRUPTIVE),)


def _issue(view: View, cluster: str, certificates: MeshCertificates) -> tuple[Command, ...]:
    """How the leaves are issued again: the way they were made."""
    if certificates.method == "certmanager":
        names = sorted(leaf.secret for leaf in certificates.leaves)
        return (view.kubectl(cluster, *_PLACE, "delete", "secret", *names),)
    if certificates.method == "cronJob" or certificates.renewal_schedule:
        job = ("create", "job", "renew-mesh-certificates", "--from=cronjob/clustermesh-apiserver-generate-certs")
        # What restarts before the job has ended starts with the old certificates.
        wait = ("wait", "--for=condition=complete", "job/renew-mesh-certificates", "--timeout=3m")
        return view.kubectl(cluster, *_PLACE, *job), view.kubectl(cluster, *_PLACE, *wait)
    return view.helm_upgrade(cluster)


def _look(view: View, cluster: str, name: str) -> Fix:
    """Sizes and age only: the Secret holds a key."""
    kind = "configmap" if name == "cilium-root-ca.crt" else "secret"
    command = view.kubectl(cluster, *_PLACE, "describe", kind, name)
    return Fix("look", f"look at {name}: tls.crt and ca.crt must be PEM certificates", (command,), Risk.NONE)


def _restart(view: View, cluster: str) -> Command:
    return view.kubectl(cluster, *_PLACE, "rollout", "restart", "deployment/clustermesh-apiserver", "daemonset/cilium")


CHECKS: Final = (
    Check(
        code="CM0608",
        title="Both clusters trust each other's certificates",
        layer=6,
        scope=Scope.PAIR,
        severity=Severity.CRITICAL,
        inputs=(*_INPUTS, fact.CONNECTION_GOAL.name),
        gates=("CM0002", "CM0003"),
        applies=_needs_cilium,
        body=_trust,
        texts={
            "PASS": "{left} and {right} trust one CA, key {key}",
            "PASS.bundle": "{left} and {right} have CAs of their own, and each trusts both",
            "INFO": "no CA yet in {clusters}: the plan places one CA in every cluster",
            "FAIL": "{other} does not trust the CA of {owner}, key {key}",
            "FAIL.leaf": "{other} does not trust {secret} of {owner}: it is signed by key {key}",
            "FAIL.stranger": "{other} cannot trust {secret} of {owner}: no CA read there signed it (issuer {issuer})",
            "UNKNOWN.unreadable": "{secrets} of {cluster} could not be read as certificates",
        },
        why="Agents and mesh APIs authenticate each other; a CA that one side lacks ends every connection in silence.",
        docs=("cilium/network/clustermesh/setup", "cilium/operations/troubleshooting_clustermesh"),
    ),
    Check(
        code="CM0610",
        title="Mesh certificates are valid for another month",
        layer=6,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(*_INPUTS, fact.NOW.name, fact.CLOCK_SKEW.name),
        gates=("CM0002",),
        applies=_no_certificates,
        body=_valid,
        texts={
            "PASS": "certificates are valid; {name} ends first, on {day}",
            "WARN": "{name} ends in {days:day}, on {day}",
            "WARN.renewal": "the last renewal of certificates failed; they end on {day}",
            "WARN.no-schedule": "nothing renews the certificates; they end on {day}",
            "FAIL": "{names} ended on {day}",
            "FAIL.early": "{names}: not valid before {day}",
            "UNKNOWN.unreadable": "{secrets} could not be read as certificates",
        },
        why="An open connection outlives its certificate, so an ended one shows only when something restarts.",
        docs=("cilium/network/clustermesh/setup",),
    ),
)
