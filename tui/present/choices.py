"""The choices behind a plan: fields, labels, rules, and what a value would mean (screens.md §3.5)."""

from mesh.choose import edit_problem
from mesh.finding import Finding, State
from mesh.goal import Goal
from tui.present import words
from tui.present.lines import Line, Row, column, line, spread, wrapped
from tui.present.texts import message
from tui.session import Session
from tui.signs import Signs

RULES = {
    "name": "1 to 32 of a-z, 0-9 and -; unique in the mesh; not default",
    "id": "a number from 1 to 255, unique in the mesh; a change replaces every node's network",
    "pods": "ranges that overlap no node, Service or other pod range of any member",
    "nodeport": "a number from 30000 to 32767, different in each cluster",
    "version": "a release of Cilium whose values are known",
    "mtu": "what fits through the path between the clouds; 0 lets Cilium detect it",
    "exposure": "how peers reach the mesh API: internal LB or NodePort",
    "ca": "new = one new CA for all, keep:CLUSTER = the CA of that cluster",
    "certificates": "cronJob renews leaf certificates by itself, helm at the next upgrade",
    "image": "the image that the proof's Service and clients run",
}
LABELS = {
    "name": "name",
    "id": "id",
    "pods": "pods",
    "nodeport": "node port",
    "version": "Cilium",
    "mtu": "MTU",
    "exposure": "exposure",
    "ca": "CA",
    "certificates": "certificates",
    "image": "image of the proof",
}


def label_of(field: str) -> str:
    """``pods of aks-east``."""
    name, _, cluster = field.partition(".")
    label = LABELS.get(name, name)
    return f"{label} of {cluster}" if cluster else label


def rule_of(field: str) -> str:
    """The rule of a field."""
    name = field.partition(".")[0]
    return f"{label_of(field)}: {RULES[name]}." if name in RULES else ""


def value_of(goal: Goal, field: str) -> str:
    """The value of a field now."""
    return next((value for name, value, _ in goal.choices if name == field), "")


def rows(goal: Goal, width: int, signs: Signs) -> list[Row]:
    """Label, value, source."""
    made = []
    for field, value, source in goal.choices:
        left = line(" ", (column(label_of(field), 26, signs), "muted"), " ", value)
        token = "key" if source == "edited" else "muted"
        made.append(Row(field, (spread(left, line((source, token), " "), width, signs),)))
    return made


def problem(session: Session, field: str, text: str) -> str:
    """Why a text breaks the field's rule; "" if it does not."""
    plan = session.plan
    return edit_problem(field, text, plan.clusters) if plan else "there is no plan"


def edit_lines(session: Session, field: str, text: str, width: int, signs: Signs) -> list[Line]:
    """Rule, then the verdict on what is typed."""
    made = [*wrapped(RULES.get(field.partition(".")[0], ""), width, "muted"), ()]
    broken = problem(session, field, text)
    if broken:
        return [*made, *wrapped(f"{signs.fail} {broken}", width, "fail", "", "  ")]
    preview = session.preview
    if preview is None or (preview.field, preview.text) != (field, text):
        plan = session.plan
        same = plan is not None and value_of(plan.goal, field) == text
        return [*made, line(("unchanged" if same else f"{signs.running} judging what it would mean", "muted"))]
    if preview.refusal:
        return [*made, *wrapped(f"{signs.fail} {preview.refusal}", width, "fail", "", "  ")]
    if not preview.findings:
        return [*made, line((f"{signs.done} no check objects", "ok"))]
    for finding in preview.findings[:3]:
        subject = words.subject_words(finding.subject, signs)
        told = f"{signs.states[finding.state]} {finding.code} {subject}: {message(finding)}"
        made += wrapped(told, width, words.STATE_TOKENS[finding.state], "", "  ")
    return made


def objections(before: tuple[Finding, ...], after: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings that a change would bring: failures and warnings that are not there now."""
    bad = (State.FAIL, State.WARN)
    known = {finding.identity for finding in before if finding.state in bad}
    return tuple(finding for finding in after if finding.state in bad and finding.identity not in known)
