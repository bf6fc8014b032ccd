"""What can be written to a file: per place its formats, each with a suffix and the text (screens.md, e)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import partial
from typing import Any

from mesh.facts import FactStore
from mesh.finding import Finding, Problem, State
from mesh.plan import HelmApply, Plan
from mesh.subject import OfCluster
from tui.present import finding as one
from tui.present import plan as plan_words
from tui.present import words
from tui.present.contexts import access, cilium, kubernetes
from tui.present.findings import summary
from tui.present.lines import Line, line, plain
from tui.present.texts import message
from tui.session import RunView, Session
from tui.signs import UNICODE

API_VERSION = "meshwright.io/v1"


@dataclass(frozen=True)
class Format:
    """One way to write something: its name, the file's suffix, and the text when it is asked for."""

    name: str
    suffix: str
    make: Callable[[], str]


Formats = Sequence[Format]


def builtins(value: Any) -> Any:
    """Records as plain JSON values: Structs and dataclasses as objects, enums as their values, subjects as text."""
    if hasattr(value, "clusters") and hasattr(value, "__struct_fields__") and callable(value.clusters):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "__struct_fields__"):
        return {name: builtins(getattr(value, name)) for name in value.__struct_fields__}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: builtins(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(builtins(key)): builtins(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [builtins(item) for item in value]
    return value


def document(kind: str, body: Mapping[str, Any]) -> str:
    """One JSON document with ``apiVersion`` and ``kind``."""
    return json.dumps({"apiVersion": API_VERSION, "kind": kind, **builtins(body)}, indent=1, ensure_ascii=False) + "\n"


def as_lines(text: str) -> Callable[[int], list[Line]]:
    """Text as the lines of a detail screen."""
    rows = [line(f" {row}") for row in text.splitlines()]
    return lambda _: rows


def of_clusters(session: Session) -> Formats:
    """The table of contexts, without credentials."""

    def rows() -> list[dict[str, Any]]:
        made = []
        for ref in session.refs:
            peek = session.peeks.get(ref.key)
            made.append(
                {
                    "key": ref.key,
                    "context": ref.context,
                    "file": ref.file,
                    "server": ref.server,
                    "provider": ref.provider,
                    "region": ref.region,
                    "account": ref.account,
                    "kubernetes": kubernetes(peek, UNICODE),
                    "cilium": cilium(peek, UNICODE),
                    "access": access(session, ref.key, UNICODE)[0],
                    "chosen": ref.key in session.chosen,
                }
            )
        return made

    return (Format("JSON", ".json", lambda: document("Contexts", {"contexts": rows()})),)


def facts_of(session: Session, cluster: str) -> str:
    """The facts of one cluster, in the snapshot format."""
    from mesh.snapshot import dump

    kept = {key: fact for key, fact in session.store.items() if cluster in key.subject.clusters()}
    return dump(FactStore(kept), (cluster,)).decode() if kept else ""


def of_facts(session: Session) -> Formats:
    """All facts, as ``--from`` reads them."""

    def snapshot() -> str:
        from mesh.snapshot import dump

        return dump(session.store, session.gathering.clusters or session.chosen).decode()

    return (Format("snapshot (--from reads it)", ".json", snapshot),)


def of_findings(session: Session) -> Formats:
    """All findings."""
    judged = session.judged
    findings = judged.findings if judged else ()
    problems = judged.problems if judged else ()

    def as_json() -> str:
        told = {state.value: number for state, number in (judged.counts.items() if judged else ())}
        body = {
            "summary": told,
            "problems": [_problem_json(problem) for problem in problems],
            "findings": [_finding_json(finding) for finding in findings],
        }
        return document("Report", body)

    return (
        Format("JSON", ".json", as_json),
        Format("Markdown", ".md", lambda: _markdown(session, problems)),
        Format("text", ".txt", lambda: _text(session, problems)),
    )


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {**builtins(finding), "message": message(finding)}


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "root": _finding_json(problem.root),
        "confidence": problem.confidence,
        "rank": problem.rank,
        "consequences": [{"code": f.code, "subject": str(f.subject)} for f in problem.consequences],
    }


def _markdown(session: Session, problems: Sequence[Problem]) -> str:
    made = [
        f"# Preconditions of {words.mesh_title(session.gathering.clusters)}",
        "",
        summary(session.judged, 200, UNICODE),
    ]
    for problem in problems:
        made += ["", *_finding_markdown(problem.root, problem, session.now)]
    return "\n".join(made) + "\n"


def _finding_markdown(finding: Finding, problem: Problem | None, now: float) -> list[str]:
    made = [f"## {finding.code} {finding.state.value} {_cell(str(finding.subject))}", "", _cell(message(finding)), ""]
    made += [f"- {_cell(item.excerpt)} ({_cell(item.source)})" for item in finding.evidence]
    made += [f"- not read: {_cell(one.missing_text(item))}" for item in finding.missing]
    for fix in finding.fixes:
        made += ["", f"Fix: {_cell(fix.text)} (risk {fix.risk.value})"]
        made += ["```sh", *(one.command_text(command) for command in fix.commands), "```"] if fix.commands else []
    if problem is not None and problem.consequences:
        made += ["", f"Explains {len(problem.consequences)}: {', '.join(f.code for f in problem.consequences)}"]
    return made


def _cell(text: str) -> str:
    """Text from outside inside Markdown."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in text)


def _text(session: Session, problems: Sequence[Problem]) -> str:
    made = []
    for problem in problems:
        sign = UNICODE.states[problem.root.state]
        made.append(f"{sign} {problem.root.code} {problem.root.subject}  {message(problem.root)}")
    return "\n".join([*made, summary(session.judged, 200, UNICODE)]) + "\n"


def of_finding(finding: Finding, problem: Problem | None, now: float) -> Formats:
    """One finding."""
    return (
        Format("Markdown", ".md", lambda: "\n".join(_finding_markdown(finding, problem, now)) + "\n"),
        Format("JSON", ".json", lambda: document("Finding", {"finding": _finding_json(finding)})),
    )


def of_plan(plan: Plan) -> Formats:
    """The plan to read, and the values per cluster."""
    clusters = dict.fromkeys(e.cluster for step in plan.steps for e in step.effects if isinstance(e, HelmApply))
    values = [Format(f"values of {cluster}", ".values.json", partial(_values, plan, cluster)) for cluster in clusters]
    return (
        *values,
        Format("Markdown", ".md", lambda: _plan_markdown(plan)),
    )


def _values(plan: Plan, cluster: str) -> str:
    """Every Helm value that the plan gives one cluster, merged in order: ``helm -f`` takes JSON as YAML."""
    merged: dict[str, Any] = {}
    for step in plan.steps:
        for effect in step.effects:
            if isinstance(effect, HelmApply) and effect.cluster == cluster:
                _merge(merged, effect.values)
    return json.dumps(merged, indent=2, ensure_ascii=False) + "\n"


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = builtins(value)


def _plan_markdown(plan: Plan) -> str:
    order = plan.numbers
    made = [f"# {_cell(plan.title)} (plan {plan.id})"]
    for step in plan.steps:
        head = f"{order[step.id]}" if step.id in order else "already so"
        made += ["", f"## {head}: {_cell(step.title)}", "", _cell(step.why), ""]
        made += [f"- where: {', '.join(map(_cell, step.clusters))}; risk {step.risk.value}"]
        made += [f"- found: {_cell(text)}" for text in step.found]
        made += [f"- does: {_cell(step.does)}"] if step.does else []
        made += [f"- undo: {_cell(step.undo)}"] if step.undo else []
        made += ["```sh", *(one.command_text(command) for command in step.commands), "```"] if step.commands else []
    return "\n".join(made) + "\n"


def of_run(run: RunView, logs: Callable[[str], list[str]]) -> Formats:
    """What a run did: its log by step, and a report."""

    def log() -> str:
        made = []
        for step in run.plan.todo():
            made += [f"== {step.title}", *logs(step.id), ""]
        return "\n".join(made) + "\n"

    def report() -> str:
        order = run.plan.numbers
        made = [f"# Run {run.number}: {_cell(run.plan.title)}", "", f"{run.state}, {words.clock(run.seconds)}", ""]
        made += ["| # | Step | Where | State | Time |", "|---|---|---|---|---|"]
        for step in run.plan.todo():
            view = run.of(step.id)
            state = words.STEP_WORDS.get(view.state, view.state)
            where = _cell(plan_words.where(step, run.plan))
            made.append(f"| {order[step.id]} | {_cell(step.title)} | {where} | {state} | {words.clock(view.seconds)} |")
        return "\n".join(made) + "\n"

    return (Format("log as text", ".log", log), Format("report, Markdown", ".md", report))


def of_mesh(session: Session, drawn: Callable[[], str]) -> Formats:
    """The picture as text and JSON."""
    picture = session.judged.picture if session.judged else None
    return (
        Format("text", ".txt", lambda: drawn() + "\n"),
        Format("JSON", ".json", lambda: document("Mesh", {"mesh": picture})),
    )


def known_names(session: Session) -> list[tuple[str, str]]:
    """Names to replace: clusters, contexts, users, accounts, nodes, cloud names."""
    from mesh import catalogue

    found: list[tuple[str, str]] = []
    for ref in session.refs:
        found += [("cluster", ref.key), ("cluster", ref.cloud_name), ("context", ref.context), ("user", ref.user)]
        found += [("account", ref.account), ("entry", ref.cluster_entry), ("file", ref.file)]
        found += [("host", ref.server.partition("://")[2].partition(":")[0])]
    for cluster in session.gathering.clusters:
        for node in session.store.value(catalogue.NODES, OfCluster(cluster)) or ():
            found.append(("node", node.name))
        identity = session.store.value(catalogue.CLOUD, OfCluster(cluster))
        if identity:
            found += [("group", identity.resource_group), ("group", identity.node_resource_group)]
            found += [("network", identity.network_id), ("cluster", identity.name), ("caller", identity.caller)]
    return [(kind, name) for kind, name in found if len(name) > 2]


def counted(states: Mapping[State, int]) -> int:
    """How many findings there are."""
    return sum(states.values())


def text_of(rows: Sequence[Line]) -> str:
    """Lines as plain text."""
    return "\n".join(plain(row).rstrip() for row in rows)
