"""L0: the context is there, the API server answers, and two contexts are two clusters."""

import shlex
from typing import Final

from mesh import catalogue as fact
from mesh.facts import Known, Origin, Reason, Unknown
from mesh.finding import Check, Command, Fix, Risk, Scope, Severity, State, Verdict
from mesh.model.context import ContextRef, Provider
from mesh.releases import parts
from mesh.subject import OfCluster, OfPair, Subject
from mesh.view import View

_PASS: Final = State.PASS
_VARIANTS: Final = {
    Reason.EXPIRED: "expired",
    Reason.NO_PLUGIN: "plugin",
    Reason.FORBIDDEN: "denied",
    Reason.UNREACHABLE: "silent",
    Reason.TIMEOUT: "silent",
}


def _cluster(subject: Subject) -> str:
    return subject.clusters()[0]


def _read_from_files(view: View, subject: Subject) -> str:
    view.fact(fact.CONTEXT, subject)
    known = view.known(fact.CONTEXT, subject)
    bundled = isinstance(known, Known) and known.source.origin is Origin.BUNDLE
    return "the cluster is read from files, not through a kubeconfig" if bundled else ""


def _context(view: View, subject: Subject) -> Verdict:
    ref = view.fact(fact.CONTEXT, subject)
    args: dict[str, object] = {"context": ref.context, "file": ref.file}
    if not ref.server:
        return Verdict(State.FAIL, args, fixes=(_entry_fix(ref),))
    if ref.key != ref.context and ref.key.endswith(")"):
        return Verdict(State.INFO, args | {"key": ref.key})
    return Verdict(_PASS, args | {"server": ref.server})


def _entry_fix(ref: ContextRef) -> Fix:
    commands = {
        Provider.EKS: ("aws", "eks", "update-kubeconfig", "--name", ref.cloud_name, "--region", ref.region),
        Provider.AKS: ("az", "aks", "get-credentials", "--name", ref.cloud_name, "--subscription", ref.account),
    }
    words: tuple[str, ...] = ("kubectl", "config", "view", "--kubeconfig", ref.file)
    if ref.cloud_name:
        words = commands.get(ref.provider, words)
    return Fix("cluster-entry", f"write the cluster entry of {ref.context} again", (Command(words, ref.key),))


def _answers(view: View, subject: Subject) -> Verdict:
    got = view.known(fact.VERSION, subject)
    if isinstance(got, Unknown):
        variant = _VARIANTS.get(got.reason, "other")
        detail = got.detail or got.reason.value
        return Verdict(State.UNKNOWN, {"detail": detail}, variant, fixes=_login(view, subject, got))
    version = got.value.git_version
    if not parts(version)[0]:
        look = view.kubectl(_cluster(subject), "get", "--raw", "/version")
        text = "put an API server behind this address that tells its version"
        return Verdict(State.FAIL, {"version": version}, fixes=(Fix("version", text, (look,), Risk.NONE),))
    return Verdict(_PASS, {"version": version})


def _login(view: View, subject: Subject, got: Unknown) -> tuple[Fix, ...]:
    """What would make the API server answer this user: the collector's own word first."""
    cluster = _cluster(subject)
    ref = view.context(cluster)
    if got.reason in (Reason.EXPIRED, Reason.FORBIDDEN, Reason.NO_PLUGIN):
        words = tuple(shlex.split(got.lift)) if _is_command(got.lift) else _login_words(ref)
        if words and got.reason is Reason.EXPIRED:
            return (Fix("login", "sign in again", (Command(words, cluster),), Risk.NONE),)
        text = got.lift or got.detail
        return (Fix("login", text, (Command(words, cluster),) if words else (), Risk.NONE),) if text else ()
    reach = view.kubectl(cluster, "get", "--raw", "/version", "--request-timeout", "10s")
    text = got.lift or f"make {ref.server or 'the API server'} reachable from here"
    return (Fix("reach", text, (reach,), Risk.NONE),)


def _is_command(text: str) -> bool:
    return text.split(" ", 1)[0] in ("aws", "az", "gcloud", "kubelogin", "kubectl", "oc", "tsh")


def _login_words(ref: ContextRef) -> tuple[str, ...]:
    argv = ref.exec_argv
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    if program in ("aws", "aws-iam-authenticator"):
        profile = tuple(argv[at + 1] for at, word in enumerate(argv[:-1]) if word == "--profile")
        return ("aws", "sso", "login", *(("--profile", profile[0]) if profile else ()))
    return {
        "kubelogin": ("az", "login"),
        "az": ("az", "login"),
        "gke-gcloud-auth-plugin": ("gcloud", "auth", "login"),
    }.get(program, ())


def _two_clusters(view: View, subject: Subject) -> Verdict:
    assert isinstance(subject, OfPair)
    left = view.fact(fact.CLUSTER_UID, OfCluster(subject.source))
    right = view.fact(fact.CLUSTER_UID, OfCluster(subject.target))
    args: dict[str, object] = {"first": subject.source, "second": subject.target}
    if not left or not right:
        words = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
        commands = tuple(view.kubectl(cluster, *words) for cluster in subject.clusters())
        look = Fix("look", "ask both for the UID of their kube-system namespace", commands, Risk.NONE)
        return Verdict(State.UNKNOWN, args, "no-uid", fixes=(look,))
    if left != right:
        return Verdict(_PASS, args | {"uid": left, "other": right})
    remove = Fix("one-of-two", f"choose {subject.source} or {subject.target}, not both", risk=Risk.NONE)
    return Verdict(State.FAIL, args | {"uid": left}, fixes=(remove,))


CHECKS: Final = (
    Check(
        code="CM0001",
        title="The context exists and names a server",
        layer=0,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(fact.CONTEXT.name,),
        applies=_read_from_files,
        body=_context,
        texts={
            "PASS": "context {context} of {file} leads to {server}",
            "INFO": "context {context} stands in several files; {key} is the one of {file}",
            "FAIL": "context {context} of {file} names no server",
        },
        why="Everything else is read through this context; a context that leads elsewhere shows another cluster.",
        docs=("kubernetes/organize-cluster-access-kubeconfig",),
    ),
    Check(
        code="CM0002",
        title="The API server answers this user",
        layer=0,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(fact.VERSION.name,),
        gates=("CM0001",),
        body=_answers,
        texts={
            "PASS": "the API server answers: Kubernetes {version}",
            "FAIL": "the API server calls itself {version}, which is no Kubernetes version: charts refuse it",
            "UNKNOWN.other": "the API server could not be asked ({detail})",
            "UNKNOWN.expired": "the login has ended ({detail})",
            "UNKNOWN.plugin": "the credential plugin is missing ({detail})",
            "UNKNOWN.denied": "the API server refuses this user ({detail})",
            "UNKNOWN.silent": "the API server does not answer ({detail})",
        },
        why="An ended login or a missing plugin looks like a broken cluster, and nothing can be told of it.",
        docs=("kubernetes/client-go-credential-plugins",),
    ),
    Check(
        code="CM0003",
        title="Two contexts are two clusters",
        layer=0,
        scope=Scope.PAIR,
        severity=Severity.CRITICAL,
        inputs=(fact.CLUSTER_UID.name,),
        gates=("CM0002",),
        body=_two_clusters,
        texts={
            "PASS": "{first} and {second} are two clusters: kube-system UIDs {uid} and {other}",
            "FAIL": "{second} is {first}: same kube-system UID {uid}",
            "UNKNOWN.no-uid": "{first} and {second} cannot be told apart: a kube-system namespace has no UID",
        },
        why="Contexts are copied; joining a cluster with itself overwrites its own identity.",
        docs=("kubernetes/namespaces",),
    ),
)
