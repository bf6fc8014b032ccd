"""One finding: what it rests on, why it matters, how it is lifted (screens.md §3.3 detail, §3.4)."""

import shlex

from rich.cells import cell_len

from mesh.finding import Command, EvidenceRef, Finding, Fix, Missing, Problem, State
from mesh.text import plural
from tui.present import words
from tui.present.findings import subject_text
from tui.present.lines import Line, Span, at_most, cut, labelled, line, spread, width_of, wrap, wrapped
from tui.present.texts import docs_of, message, title_of, why_of
from tui.signs import Signs

NEUTRAL_MAX = 3


def short_detail(problem: Problem, width: int, signs: Signs, now: float, room: int) -> list[Line]:
    """The lower pane at 80 columns, in at most ``room`` rows: each part in as many as it has to have, and with what is
    left first the command in full, then the rest.
    """
    root = problem.root
    fix = root.fixes[0] if root.fixes else None
    evidence = sorted(root.evidence, key=lambda item: item.state not in ("FAIL", "closed"))
    told = labelled("evidence", _evidence_text(evidence[0], now), width) if evidence else []
    # Rows, how many of them always stand, and the turn in which more are given.
    parts = (
        (labelled("what", message(root), width), 0, 2),
        (labelled("why", why_of(root), width), 2, 5),
        (told, 2, 3),
        (_lift(root, width), 3, 4),
        (_fix_short(fix, width, signs) if fix else [], 1, 6),
        (_command_short(fix, width) if fix else [], 1, 1),
    )
    given = [min(len(rows), least) for rows, least, _ in parts]
    left = room - 1 - sum(given)
    for place in sorted(range(len(parts)), key=lambda place: parts[place][2]):
        more = max(min(len(parts[place][0]) - given[place], left), 0)
        given[place] += more
        left -= more
    made = [detail_head(root, problem, width, signs)]
    for (rows, _, _), number in zip(parts, given, strict=True):
        made += at_most(rows, number, width, signs) if number else []
    return made[:room]


def _fix_short(fix: Fix, width: int, signs: Signs) -> list[Line]:
    extra = f"risk {fix.risk.value}, undo {'yes' if fix.reversible else 'no'}"
    return labelled("fix", f"{cut(fix.text, width - 17 - len(extra), signs)}  {extra}", width)[:1]


def _command_short(fix: Fix, width: int) -> list[Line]:
    made: list[Line] = []
    for command in fix.commands:
        made += labelled("" if made else "command", command_text(command), width, "key")
    return made


def detail_head(finding: Finding, problem: Problem | None, width: int, signs: Signs) -> Line:
    """``CM0403 FAIL critical · L4 cloud network · certain · in force``."""
    token = words.STATE_TOKENS[finding.state]
    severity = f" {finding.severity.word}" if finding.state is State.FAIL else ""
    parts = [words.layer(finding.layer)]
    if problem is not None and problem.root.identity == finding.identity:
        parts.append(problem.confidence)
    parts.append(words.basis(finding))
    return line((f" {finding.code} {finding.state.value}{severity}", token), f" · {' · '.join(parts)}")


def _evidence_text(evidence: EvidenceRef, now: float) -> str:
    source = evidence.source or (str(evidence.key) if evidence.key else "")
    age = words.age(now - evidence.observed_at) if evidence.observed_at else ""
    tail = ", ".join(part for part in (source, age) if part)
    return f"{evidence.excerpt}  {tail}".rstrip()


def _lift(finding: Finding, width: int) -> list[Line]:
    made: list[Line] = []
    for place, missing in enumerate(finding.missing):
        made += labelled("unread" if not place else "", missing_text(missing), width, "unknown")
    return made


def missing_text(missing: Missing) -> str:
    """What was not read, why, and what would lift it."""
    told = f"{missing.key}: {missing.reason.value}"
    if missing.detail:
        told += f", {missing.detail}"
    return f"{told}. Lifts it: {missing.lift}" if missing.lift else told


def command_text(command: Command) -> str:
    """The command as a person types it."""
    return shlex.join(command.argv)


def full(
    finding: Finding,
    problem: Problem | None,
    width: int,
    signs: Signs,
    now: float,
    chosen_fix: int = 0,
    raw: bool = False,
) -> list[Line]:
    """The Finding screen's body."""
    subject = subject_text(finding, signs)
    made = wrapped(f"{subject}: {message(finding)}" if subject else message(finding), width - 2, "title", " ", " ")
    if finding.blocked_by:
        codes = ", ".join(f"{code} {subject}" for code, subject in finding.blocked_by[:4])
        made += wrapped(f"needs {codes} first; press enter to go there", width - 2, "warn", " ", " ")
    made += [(), *_evidence(finding, width, signs, now, raw)]
    why = why_of(finding)
    if why:
        made += [(), *labelled("WHY", why, width, "", 1, 9)]
    made += _fix_lines(finding, width, signs, chosen_fix)
    made += _consequences(finding, problem, width, signs)
    docs = docs_of(finding)
    if docs:
        made += [(), *labelled("DOCS", f"{' · '.join(docs)}   meshwright explain {finding.code}", width, "", 1, 9)]
    return made


def _evidence(finding: Finding, width: int, signs: Signs, now: float, raw: bool) -> list[Line]:
    """Each piece in path order: its number and own sign, what was read, source and age; raw with the facts' keys.

    What only stands around is counted, where there is a piece that speaks.
    """
    shown = 0 if any(evidence.state for evidence in finding.evidence) else NEUTRAL_MAX
    hidden = max(sum(not evidence.state for evidence in finding.evidence) - shown, 0)
    told = "" if finding.evidence else "  none was read"
    if hidden and not raw:
        told = f"  {plural(hidden, 'more fact')}, v shows all"
    made: list[Line] = [line((" EVIDENCE", "title"), (told, "muted"))]
    neutral = 0
    for place, evidence in enumerate(finding.evidence, 1):
        if raw or evidence.state:
            made += _piece(evidence, place, width, signs, now, raw)
            continue
        neutral += 1
        if neutral <= shown:
            tail = cut(_origin(evidence, now), width // 2, signs)
            room = max(width - cell_len(tail) - 10, 20)
            head = line((f"  {place:>2} ", "muted"), (f"{signs.dot} ", "muted"), cut(evidence.excerpt, room, signs))
            made.append(spread(head, line((tail, "muted"), " "), width, signs))
    for missing in finding.missing:
        rows = wrap(missing_text(missing), width - 8)
        made.append(line("     ", (f"{signs.unknown} ", "unknown"), rows[0]))
        made += [line(f"       {row}") for row in rows[1:]]
    return made


def _origin(evidence: EvidenceRef, now: float) -> str:
    age = words.age(now - evidence.observed_at) if evidence.observed_at else ""
    return ", ".join(part for part in (evidence.source, age) if part)


def _piece(evidence: EvidenceRef, place: int, width: int, signs: Signs, now: float, raw: bool) -> list[Line]:
    """One piece in full."""
    made: list[Line] = []
    sign, token = _evidence_sign(evidence, signs)
    head, mark = f"  {place:>2} ", f"{sign} "
    if raw and evidence.key is not None:
        made.append(line((head, "muted"), (mark, token), (f"{evidence.key}", "name")))
        head, mark = "     ", "  "
    text = wrap(evidence.excerpt, width - 8) or [""]
    tail = _origin(evidence, now)
    made += [line((head, "muted"), (mark, token), text[0]), *(line(f"       {row}") for row in text[1:])]
    if width_of(made[-1]) + cell_len(tail) + 3 <= width:
        made[-1] = spread(made[-1], line((tail, "muted"), " "), width, signs)
    elif tail:
        made.append(line((f"       {tail}", "muted")))
    return made


def _evidence_sign(evidence: EvidenceRef, signs: Signs) -> Span:
    """``EvidenceRef.state`` is a state's word, or ok, closed, unknown; "" is neutral."""
    told = evidence.state.upper()
    for state in State:
        if told == state.value:
            return words.state_sign(state, signs)
    return {"OK": (signs.done, "ok"), "OPEN": (signs.done, "ok"), "CLOSED": (signs.fail, "fail")}.get(
        told, (signs.dot, "muted")
    )


def _fix_lines(finding: Finding, width: int, signs: Signs, chosen: int) -> list[Line]:
    if not finding.fixes:
        return []
    place = min(chosen, len(finding.fixes) - 1)
    fix = finding.fixes[place]
    word = "LIFT" if finding.state in (State.UNKNOWN, State.BLOCKED) else "FIX"
    places = {command.where for command in fix.commands}
    where = places.pop() if len(places) == 1 else ""
    head = f"{word} {place + 1} of {len(finding.fixes)} {signs.dot} {f'{where} {signs.dot} ' if where else ''}"
    made: list[Line] = [(), *wrapped(head + _traits(fix), width - 1, "title", " ", "   ")]
    made += wrapped(fix.text, width - 2, "", "   ", "   ")
    for command in fix.commands:
        if command.where and not where:
            made.append(line((f"   # {command.where}", "muted")))
        rows = wrap(command_text(command), width - 6, "   ", "     ")
        made += [line((row + (" \\" if index < len(rows) - 1 else ""), "key")) for index, row in enumerate(rows)]
    return made


def _traits(fix: Fix) -> str:
    parts = [f"risk {fix.risk.value}", "reversible" if fix.reversible else "irreversible"]
    if fix.in_plan:
        parts.append("a step of the plan")
    return " · ".join(parts) + (f" · needs {', '.join(fix.needs)}" if fix.needs else "")


def _consequences(finding: Finding, problem: Problem | None, width: int, signs: Signs) -> list[Line]:
    if problem is None or problem.root.identity != finding.identity:
        return []
    made: list[Line] = []
    if problem.consequences:
        made += [(), line((f" EXPLAINS {len(problem.consequences)}", "title"))]
        for consequence in problem.consequences[:12]:
            sign, token = words.state_sign(consequence.state, signs)
            subject = subject_text(consequence, signs)
            made.append(
                line(
                    "   ", (f"{sign} ", token), cut(f"{consequence.code} {subject}  {message(consequence)}", width - 6)
                )
            )
        if len(problem.consequences) > 12:
            made.append(line((f"   and {len(problem.consequences) - 12} more", "muted")))
    if problem.possible_roots:
        made += [(), line((f" POSSIBLE ROOTS, if {finding.code} were wrong", "title"))]
        made += [
            line(f"   {root.code} {subject_text(root, signs)}  {title_of(root)}") for root in problem.possible_roots[:6]
        ]
    return made


def fix_command(finding: Finding, chosen: int = 0) -> str:
    """Every command of one fix, a line each; "" if it has none."""
    if not finding.fixes:
        return ""
    fix = finding.fixes[min(chosen, len(finding.fixes) - 1)]
    return "\n".join(command_text(command) for command in fix.commands)
