"""Preconditions and Finding: problems by rank, what each rests on, and how it is lifted (screens.md §3.3, §3.4)."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from mesh.finding import Finding, Problem, State
from mesh.subject import OfCluster, OfService
from mesh.summary import summary_line
from tui.present import words
from tui.present.lines import Line, Row, Span, column, cut, line, rule, spread
from tui.present.texts import message
from tui.session import Session
from tui.signs import Signs
from tui.work.judge import Judgement

SHOWN_STATES = (State.FAIL, State.WARN, State.UNKNOWN, State.ERROR, State.BLOCKED)


def finding_key(finding: Finding) -> str:
    """A finding's key in lists."""
    return f"{finding.code} {finding.subject}"


def by_key(judged: Judgement, key: str) -> Finding | None:
    """The finding of a key."""
    return next((finding for finding in judged.findings if finding_key(finding) == key), None)


def needs(finding: Finding) -> str:
    """``plan`` where a step of the join lifts it, ``you`` where a decision or right is needed, "" where nothing is."""
    if finding.state is State.FAIL:
        return "plan" if any(fix.in_plan for fix in finding.fixes) else "you"
    if finding.state is State.WARN:
        return "plan" if any(fix.in_plan for fix in finding.fixes) else ""
    return ""


def _in_layers(finding: Finding, layer: int | None) -> bool:
    return layer is None or finding.layer == layer


def problems(judged: Judgement, layer: int | None = None, find: str = "") -> list[Problem]:
    """The problems of a layer that match what is searched for."""
    return [p for p in judged.problems if _in_layers(p.root, layer) and matches(p.root, find)]


def matches(finding: Finding, find: str) -> bool:
    """Free words, or ``layer:4 state:fail cluster:aks code:CM04``."""
    told = f"{finding.code} {finding.subject} {message(finding)} {finding.state.value}".lower()
    for word in find.lower().split():
        name, _, value = word.partition(":")
        fields = {
            "layer": str(finding.layer),
            "state": finding.state.value.lower(),
            "cluster": str(finding.subject).lower(),
            "code": finding.code.lower(),
        }
        if (value not in fields[name]) if value and name in fields else (word not in told):
            return False
    return True


def _shown(judged: Judgement, layer: int | None, find: str) -> list[Finding]:
    return [finding for finding in judged.findings if _in_layers(finding, layer) and matches(finding, find)]


def title(session: Session, layer: int | None, find: str, everything: bool) -> tuple[str, str]:
    """``2 problems: 1 in plan, 1 needs you``."""
    judged = session.judged
    if judged is None:
        return "Preconditions", ""
    where = words.layer(layer) if layer is not None else "all layers"
    right = f"{find or where} · {'all' if everything else 'by rank'}"
    if everything and (find or layer is not None):
        number = len(_shown(judged, layer, find))
        return f"{number or 'No'} {'finding matches' if number < 2 else 'findings match'}", right
    found = problems(judged, layer, find)
    fails = [problem for problem in found if problem.root.state in (State.FAIL, State.ERROR)]
    parts = []
    if fails:
        in_plan = sum(needs(problem.root) == "plan" for problem in fails)
        told = [
            f"{in_plan} in plan" if in_plan else "",
            f"{len(fails) - in_plan} needs you" if in_plan < len(fails) else "",
        ]
        parts.append(f"{_n(len(fails), 'problem')}: {', '.join(part for part in told if part)}")
    for state, word in ((State.WARN, "warning"), (State.UNKNOWN, "unknown")):
        number = sum(problem.root.state is state for problem in found)
        if number:
            parts.append(f"{number} unknown" if word == "unknown" else _n(number, word))
    said = " · ".join(parts) or ("No problem matches" if find or layer is not None else "No problems")
    return said, right


def _n(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"


def rows(
    session: Session,
    width: int,
    signs: Signs,
    *,
    unfolded: frozenset[str] = frozenset(),
    everything: bool = False,
    layer: int | None = None,
    find: str = "",
    tall: bool = False,
) -> list[Row]:
    """Problems by rank, with ``everything`` each finding; ``tall`` gives each two lines (from 120 columns)."""
    judged = session.judged
    if judged is None:
        return [Row("", tuple(_waiting(session)))]
    if everything:
        return [_finding_row(f, width, signs) for f in _by_state(_shown(judged, layer, find))]
    made: list[Row] = []
    shown = problems(judged, layer, find)
    folds = any(problem.consequences for problem in shown)
    subject_width = min(max((cell_len(subject_text(problem.root, signs)) for problem in shown), default=0), 22)
    for problem in shown:
        made.append(_problem_row(problem, width, signs, tall, folds, subject_width))
        key = finding_key(problem.root)
        if key in unfolded or tall:
            made += _folded(problem, width, signs, key in unfolded)
    made += _rest(judged, width, signs, bool(made), session, unfiltered=not find and layer is None)
    return made


def _waiting(session: Session) -> list[Line]:
    if session.gathering.running or session.judging:
        return [line("  checks wait for facts")]
    if not session.chosen:
        return [line("  Preconditions need clusters: press ", ("1", "key"), " and choose them.")]
    return [line("  Preconditions need facts: press ", ("2", "key"), ", then ", ("r", "key"), ".")]


def _by_state(findings: Iterable[Finding]) -> list[Finding]:
    order = (
        State.FAIL,
        State.ERROR,
        State.WARN,
        State.UNKNOWN,
        State.BLOCKED,
        State.INFO,
        State.PASS,
        State.NOT_APPLICABLE,
    )
    return sorted(findings, key=lambda finding: (order.index(finding.state), finding.layer, finding.code))


def subject_text(finding: Finding, signs: Signs) -> str:
    """The subject as lists show it: nothing for the whole mesh."""
    text = words.subject_words(finding.subject, signs)
    return "" if text == "mesh" else text


def _finding_row(finding: Finding, width: int, signs: Signs, lead: str = "", key: str = "") -> Row:
    sign, token = words.state_sign(finding.state, signs)
    todo = "to do" if finding.to_do else ""
    subject = subject_text(finding, signs)
    text = message(finding, short=True)
    room = width - 11 - len(lead)
    if width >= 80:
        subject_width = 24 if width < 120 else min(30, room // 3)
        body = f"{column(subject, subject_width, signs)} {cut(text, room - subject_width - 8, signs)}"
    else:
        body = cut(text, room - 6, signs)
    spans = line(" ", (lead, "rule"), (column(sign, 2, signs), token), (f"{finding.code} ", token), body)
    if todo:
        spans = spread(spans, line((todo, "muted"), " "), width, signs)
    return Row(key or finding_key(finding), (spans,))


def _problem_row(problem: Problem, width: int, signs: Signs, tall: bool, folds: bool, subject_width: int) -> Row:
    """``folds``: whether any row has consequences, for which a column is kept free."""
    root = problem.root
    sign, token = words.state_sign(root.state, signs)
    plus = f"+{len(problem.consequences)}" if problem.consequences else ""
    need, subject, text = needs(root), subject_text(root, signs), message(root, short=True)
    if tall:
        basis = words.basis(root) if root.state in (State.FAIL, State.WARN) else ""
        first = line(" ", (column(sign, 2, signs), token), (f"{root.code} ", token), (subject, "name"))
        tail = line((column(basis, 9, signs), "muted"), (plus.rjust(5), "muted"), " ")
        need_words = {"plan": "in plan", "you": "needs you"}.get(need, "")
        second = line("     ", text)
        return Row(
            finding_key(root),
            (
                spread(first, tail, width, signs),
                spread(second, line((need_words, "warn" if need == "you" else "muted"), "     "), width, signs),
            ),
        )
    folded = f" {plus:>3}" if folds else ""
    right = line((column(need, 4, signs), "warn" if need == "you" else "muted"), (folded, "muted"), " ")
    right = right if need or plus else ()
    if width < 80:
        first = line(" ", (column(sign, 2, signs), token), (f"{root.code} ", token), text)
        return Row(finding_key(root), (spread(first, line((f" {plus:>3}", "muted"), " "), width, signs),))
    body = (f"{column(subject, subject_width, signs)} ", "name")
    first = line(" ", (column(sign, 2, signs), token), (f"{root.code} ", token), body, text)
    return Row(finding_key(root), (spread(first, right, width, signs),))


def _folded(problem: Problem, width: int, signs: Signs, every: bool) -> list[Row]:
    shown = problem.consequences if every else problem.consequences[:3]
    made = []
    for place, finding in enumerate(shown):
        end = place == len(shown) - 1 and len(shown) == len(problem.consequences)
        lead = f"  {signs.last if end else signs.branch} "
        made.append(_finding_row(finding, width, signs, lead, f"{finding_key(problem.root)} / {finding_key(finding)}"))
    hidden = len(problem.consequences) - len(shown)
    if hidden > 0:
        made.append(Row("", (line((f"   {signs.last} {hidden} more, {signs.right} unfolds", "muted")),)))
    return made


def _rest(
    judged: Judgement, width: int, signs: Signs, any_problem: bool, session: Session, *, unfiltered: bool
) -> list[Row]:
    """Below the problems: what else was judged, nothing hidden."""
    numbers = judged.counts
    made: list[Row] = []
    if not any_problem and unfiltered:
        made += [Row("", (given,)) for given in _clean(session, judged, signs)]
    todo = sum(finding.to_do for finding in judged.findings)
    to_do = f" ({todo} to do)" if todo else ""
    right = "a shows all" if width >= 60 else ""
    for word in ("not applicable", "n/a"):
        told = (
            f"{numbers.get(State.PASS, 0)} passed · {numbers.get(State.INFO, 0)} info{to_do}"
            f" · {numbers.get(State.BLOCKED, 0)} blocked"
            f" · {numbers.get(State.NOT_APPLICABLE, 0)} {word} · {numbers.get(State.ERROR, 0)} errors"
        )
        if cell_len(told) + len(right) + 8 <= width:
            break
    made.append(Row("", (rule(told, right, width, signs, lead=1),)))
    return made


def _clean(session: Session, judged: Judgement, signs: Signs) -> list[Line]:
    unknown = judged.counts.get(State.UNKNOWN, 0)
    if unknown:
        return [line((f"  {signs.unknown} {unknown} unknown, the rest holds", "unknown"))]
    if session.gathering.running:
        return [line(f"  {signs.running} no problem so far; checks wait for facts")]
    return [
        line((f"  {signs.done} All preconditions hold.", "ok"), "  ", (">", "key"), " makes the plan"),
    ]


def layer_table(judged: Judgement, signs: Signs) -> list[Line]:
    """Counts by layer and state: sums equal the summary (third pane of large screens)."""
    layers = sorted({finding.layer for finding in judged.findings})
    head: list[Span] = [(column(" by layer", 22, signs), "muted")]
    head += [(signs.states[state].rjust(4), words.STATE_TOKENS[state]) for state in State]
    made: list[Line] = [tuple(head)]
    for layer in layers:
        row: list[Span] = [(column(f"  {words.layer(layer)}", 22, signs), "")]
        for state in State:
            number = sum(f.layer == layer and f.state is state for f in judged.findings)
            row.append((f"{number:>4}", words.STATE_TOKENS[state] if number else "muted"))
        made.append(tuple(row))
    return made


def layers(judged: Judgement | None) -> list[int]:
    """The layers that have findings, for the layer filter."""
    return sorted({finding.layer for finding in judged.findings}) if judged else []


def summary(judged: Judgement | None, width: int, signs: Signs) -> str:
    """The eight counts in their order and wording."""
    if judged is None:
        return ""
    return summary_line(judged.counts, judged.explained, width - 2, signs.states)


def place_of(judged: Judgement, finding: Finding) -> Sequence[Finding]:
    """The findings that are read one after another from this one: roots, then the others of its kind."""
    roots = [problem.root for problem in judged.problems]
    return roots if any(root.identity == finding.identity for root in roots) else _by_state(judged.findings)


def of_clusters(finding: Finding, clusters: Iterable[str]) -> bool:
    """Whether a finding touches one of these clusters."""
    touched = finding.subject.clusters()
    return isinstance(finding.subject, OfService) or not touched or bool(set(touched) & set(clusters))


def about(finding: Finding) -> str:
    """The one cluster a finding is about, if it is about one."""
    return finding.subject.cluster if isinstance(finding.subject, OfCluster) else ""
