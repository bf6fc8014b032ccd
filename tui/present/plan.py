"""Plan: the steps that would change something, the choices behind them, what to judge them by (§3.5, §3.6)."""

from collections.abc import Mapping, Sequence

from mesh.finding import Risk
from mesh.goal import Goal
from mesh.plan import Blocker, Plan, Step
from tui.present import words
from tui.present.finding import command_text
from tui.present.lines import Line, Row, Span, clip, column, cut, labelled, line, rule, wrap, wrapped
from tui.session import Session
from tui.signs import Signs


def where(step: Step, plan: Plan) -> str:
    """The cluster, ``both``, ``all 5``, or names."""
    if len(plan.clusters) > 1 and set(step.clusters) == set(plan.clusters):
        return "both" if len(plan.clusters) == 2 else f"all {len(plan.clusters)}"
    return ", ".join(step.clusters)


def needs(step: Step, plan: Plan) -> str:
    """Numbers of the steps that come first: ``1 8``, or ``-``."""
    order = plan.numbers
    return (
        " ".join(str(order[need]) for need in sorted(step.needs, key=lambda n: order.get(n, 0)) if need in order) or "-"
    )


def title(session: Session) -> tuple[str, str]:
    """``Join eks-tokyo and aks-east``, ``10 to do · 3 already so · 0 irreversible``."""
    plan = session.plan
    if plan is None:
        return "Plan", ""
    todo = plan.todo()
    irreversible = sum(step.risk is Risk.IRREVERSIBLE for step in todo)
    counts = f"{len(todo)} to do · {len(plan.steps) - len(todo)} already so · {irreversible} irreversible"
    return plan.title, counts


def nothing(session: Session, signs: Signs) -> list[Line]:
    """Why there is no plan, and what to press."""
    if len(session.chosen) < 2:
        return [
            line("  A plan needs two clusters: press ", ("1", "key"), " and choose them with ", ("space", "key"), ".")
        ]
    if session.judged is None and not session.gathering.running:
        return [line("  Plan needs facts: press ", ("2", "key"), ", then ", ("r", "key"), ".")]
    if session.judged is not None and session.judged.refusal:
        return [line(("  No plan can be made.", "title")), *wrapped(session.judged.refusal, 76, "", "  ", "  ")]
    return [line(f"  {signs.running} the plan waits for facts")]


def rows(
    session: Session, width: int, signs: Signs, find: str = "", changed: frozenset[str] = frozenset()
) -> list[Row]:
    """Heads, then steps in topological order; what is already so stands where it belongs, without a number."""
    plan = session.plan
    if plan is None:
        return [Row("", tuple(nothing(session, signs)))]
    if not plan.todo():
        done = line(
            (f"  {signs.done} Nothing to do: every step is already so.", "ok"), "  ", ("6", "key"), " opens the mesh"
        )
        return [Row("", (done,)), *(_step(step, plan, width, signs, step.id in changed) for step in plan.steps)]
    shown = [
        step
        for step in plan.steps
        if all(word in f"{step.title} {where(step, plan)}".lower() for word in find.lower().split())
    ]
    heads = (_heads(width, signs), *(_verify(unknown, width, signs) for unknown in plan.unknowns))
    return [Row("", heads), *(_step(step, plan, width, signs, step.id in changed) for step in shown)]


def _verify(unknown: Blocker, width: int, signs: Signs) -> Line:
    """Step 0: what the plan goes on without, for the user to verify (§3.5 *Unknowns*)."""
    told = f"  {unknown.text}: {unknown.code} {unknown.subject}"
    return line((" 0 ", "unknown"), (cut(told, width - 4, signs), "unknown"))


def _widths(width: int) -> tuple[int, int, int]:
    """Step, where, needs; below 80 columns needs goes first."""
    if width < 80:
        return max(width - 32, 16), 12, 0
    spare = max(width - 80, 0)
    return 37 + min(spare, 40), 12 + min(max(spare - 40, 0), 12), 7


def _heads(width: int, signs: Signs) -> Line:
    step, place, need = _widths(width)
    needed = column("Needs", need, signs) + " " if need else ""
    return line((f"  #  {column('Step', step, signs)} {column('Where', place, signs)} {needed}Risk", "muted"))


def _step(step: Step, plan: Plan, width: int, signs: Signs, changed: bool) -> Row:
    room, place, need = _widths(width)
    token = "muted" if step.already else ""
    number: Span = (column(signs.done, 2, signs), "ok") if step.already else (f"{plan.numbers[step.id]:>2}", "")
    needed = column("" if step.already else needs(step, plan), need, signs) + " " if need else ""
    risk = "already so" if step.already else step.risk.value
    risk_token = "muted" if step.already else words.RISK_TOKENS[step.risk]
    cells = line(
        " ",
        number,
        ("*" if changed else " ", "key"),
        (f" {column(step.title, room, signs)} {column(where(step, plan), place, signs)} {needed}", token),
        (risk, risk_token),
    )
    return Row(step.id, (cells,))


def choice_lines(goal: Goal, width: int) -> list[Line]:
    """The choices in two or three lines."""
    members = goal.members
    parts = [
        "names " + ", ".join(member.name for member in members),
        "ids " + ", ".join(str(member.cluster_id) for member in members),
        "pods " + ", ".join(", ".join(member.pod_cidrs) for member in members),
        f"MTU {goal.mtu or 'autodetect'}",
        f"exposure {goal.exposure.value}",
        f"CA {'new, shared' if goal.ca == 'new' else goal.ca.replace('keep:', 'of ')}",
        "version " + ", ".join(dict.fromkeys(member.version for member in members)),
    ]
    made: list[str] = []
    for part in parts:
        if made and len(made[-1]) + len(part) + 3 <= width - 1:
            made[-1] += f"   {part}"
        else:
            made.append(f"  {part}")
    return [line(row) for row in made]


def step_head(step: Step, plan: Plan, width: int, signs: Signs) -> Line:
    """``─ step 4 ─── about 3 m ──``."""
    number = plan.numbers.get(step.id)
    label = f"step {number}" if number else "already so"
    return rule(label, usually(step.usual, step.measured) if number else "", width, signs, lead=1)


def usually(seconds: float, measured: bool) -> str:
    """``about 3 m`` where it was measured here, ``usually up to 3 m`` where nothing is known but what clouds take."""
    return f"{'about' if measured else 'usually up to'} {words.duration(seconds)}"


def step_detail(step: Step, plan: Plan, width: int, signs: Signs, values: bool = False) -> list[Line]:
    """All of a step: why, what runs, when it is done, the way back, what changes; with ``values`` every change."""
    codes = f" ({', '.join(step.codes)})" if step.codes else ""
    made = [step_head(step, plan, width, signs)]
    made += labelled("why", step.why + codes, width, "", 2, 6)
    for place, text in enumerate(step.found):
        made += labelled("" if place else "found", text, width, "", 2, 6)
    if step.consequence:
        made += labelled("means", step.consequence, width, "warn", 2, 6)
    made += labelled("does", step.does, width, "", 2, 6) if step.does else []
    for place, command in enumerate(step.commands):
        made += labelled("run" if not place else "", command_text(command), width, "key", 2, 6)
    for command in step.same_as:
        made += labelled("same", f"as: {command_text(command)}", width, "muted", 2, 6)
    if step.until:
        until = ", ".join(dict.fromkeys(f"{condition.name.replace('-', ' ')}" for condition in step.until))
        made += labelled("done", f"when {until}; at most {words.duration(step.deadline)}", width, "muted", 2, 6)
    made += labelled("undo", step.undo, width, "", 2, 6) if step.undo else []
    if values:
        for place, change in enumerate(step.diff):
            made += labelled("" if place else "diff", change, width, "ok" if change.startswith("+") else "", 2, 6)
    elif step.diff:
        made.append(_diff_line(step, width, signs))
    return made


def step_short(step: Step, plan: Plan, width: int, signs: Signs) -> list[Line]:
    """The lower pane at 80 columns: one line each, the way back in full."""
    codes = f" ({', '.join(step.codes)})" if step.codes else ""
    made = [step_head(step, plan, width, signs), _short("why", step.why + codes, width, "", signs)]
    if step.found and not step.already:
        made.append(_first("found", step.found, width, "", signs))
    if step.consequence and step.risk in (Risk.DISRUPTIVE, Risk.IRREVERSIBLE):
        made.append(_short("means", step.consequence, width, "warn", signs))
    if step.does:
        made.append(_short("does", step.does, width, "", signs))
    if step.commands:
        made.append(_first("run", tuple(map(command_text, step.commands)), width, "key", signs))
    if step.diff:
        made.append(_diff_line(step, width, signs))
    return [*made, *labelled("undo", step.undo, width, "", 2, 6)] if step.undo else made


def _first(label: str, texts: Sequence[str], width: int, token: str, signs: Signs) -> Line:
    """The first of several, and how many more there are."""
    more = f"  {signs.ellipsis} {len(texts) - 1} more" if len(texts) > 1 else ""
    return _short(label, cut(texts[0], width - 9 - len(more), signs) + more, width, token, signs)


def _short(label: str, text: str, width: int, token: str, signs: Signs) -> Line:
    return line((f"  {label:<6}", "muted"), (cut(text, width - 9, signs), token))


def _diff_line(step: Step, width: int, signs: Signs) -> Line:
    """As many changes as fit in a line, and how many more."""
    shown, room = "", width - 24
    taken = 0
    for change in step.diff:
        if shown and len(shown) + len(change) + 2 > room:
            break
        shown += ("  " if shown else "") + change
        taken += 1
    more = f"   {signs.ellipsis} {len(step.diff) - taken} more (v)" if taken < len(step.diff) else ""
    return clip(line(("  diff  ", "muted"), (cut(shown, room, signs), "ok"), (more, "muted")), width, signs)


def off(session: Session) -> str:
    """Why the plan may not be applied now; "" if it may."""
    plan = session.plan
    if plan is None:
        return "A is off: there is no plan yet"
    if session.run is not None and session.run.under_way:
        return "A is off: a run is under way, press 5"
    if session.gathering.running:
        return "A is off: facts are being read"
    if session.judging:
        # The plan shown may rest on what was there before the last facts came.
        return "A is off: the last facts are being judged"
    if session.outdated:
        return "A is off: other clusters are chosen than were read, press 2, then r"
    if session.stale:
        return "A is off: the facts are old, press r"
    if plan.blockers:
        refusing = [blocker for blocker in plan.blockers if blocker.refuses]
        if refusing:
            return f"A is off: {refusing[0].text}"
        first = plan.blockers[0]
        return f"A is off: {first.code} {first.subject} needs you, press 3"
    if not plan.todo():
        return "A is off: nothing to do, every step is already so"
    return ""


def status(session: Session) -> str:
    """Why ``A`` is on or off."""
    plan = session.plan
    if plan is None:
        return ""
    why = off(session)
    if why:
        return why + "."
    disruptive = [step for step in plan.todo() if step.risk is Risk.DISRUPTIVE]
    whole = "Plan is complete."
    if plan.unknowns:
        first = plan.unknowns[0]
        whole = f"Not all is known: {first.code} {first.subject}, step 0."
    if not disruptive:
        return f"{whole} No step is disruptive."
    clusters = tuple(dict.fromkeys(cluster for step in disruptive for cluster in step.clusters))
    verb = "is" if len(disruptive) == 1 else "are"
    number = "1 step" if len(disruptive) == 1 else f"{len(disruptive)} steps"
    if len(clusters) > 1:
        return f"{whole} {number} {verb} disruptive: {len(clusters)} cluster names will be asked."
    return f"{whole} {number} {verb} disruptive on {clusters[0]}: its name will be asked."


def blocker_lines(session: Session, width: int) -> list[Line]:
    """What keeps the plan from being applied, for the detail pane."""
    plan = session.plan
    if plan is None:
        return []
    made: list[Line] = []
    for blocker in plan.blockers[:4]:
        told = blocker.text if blocker.refuses else f"{blocker.code} {blocker.subject}: {blocker.text}"
        made += wrapped(told, width - 2, "fail", "  off   ", "        ")
    for unknown in plan.unknowns[:4]:
        told = f"{unknown.code} {unknown.subject}: {unknown.text}"
        made += wrapped(told, width - 2, "unknown", "  0     ", "        ")
    return made


def confirm_lines(plan: Plan, who: tuple[str, ...], order: Mapping[str, int], width: int, signs: Signs) -> list[Line]:
    """What the gate says before the fields (screens.md §3.6); ``order`` numbers the steps."""
    todo = plan.todo()
    lasts = usually(plan.lasts({step.id: step.usual for step in todo}), all(step.measured for step in todo))
    touched = tuple(dict.fromkeys(cluster for step in todo for cluster in step.clusters))
    number = "1 cluster" if len(touched) == 1 else f"{len(touched)} clusters"
    made: list[Line] = [line(f"{_n(len(todo), 'step')}, {lasts}, in {number}")]
    if who:
        made += _pairs("as", " · ".join(who), width)
    made.append(())
    for risk in (Risk.DISRUPTIVE, Risk.IRREVERSIBLE):
        steps = [step for step in todo if step.risk is risk]
        clusters = tuple(dict.fromkeys(cluster for step in steps for cluster in step.clusters))
        token = words.RISK_TOKENS[risk] if steps else "muted"
        told = f"{_n(len(steps), 'step')} on {words.joined(clusters)}" if steps else "none"
        made.append(line((f"{risk.value:<13}", token), told))
        made += _consequences(steps, order, width, signs)
    changing = [step for step in todo if step.risk is not Risk.NONE]
    undone = sum(step.reversible for step in changing)
    told = f"{undone} of {_n(len(changing), 'change')} can be undone; the journal keeps what was before"
    made += _pairs("way back", told, width)
    return made


def _n(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"


def _pairs(label: str, text: str, width: int) -> list[Line]:
    return [line((row[:13], "muted"), row[13:]) for row in wrap(text, width, f"{label:<13}", " " * 13)]


def _consequences(steps: list[Step], order: Mapping[str, int], width: int, signs: Signs) -> list[Line]:
    """What the steps of one risk do to what runs; steps with the same effect share a line."""
    told: dict[str, list[int]] = {}
    for step in steps:
        told.setdefault(step.consequence or step.title, []).append(order[step.id])
    made: list[Line] = []
    for text, numbered in told.items():
        head = f"  {' '.join(map(str, numbered))}  "
        rows = wrap(text, width, head, " " * len(head))
        made += [line((row[: len(head)], "muted"), row[len(head) :]) for row in rows]
    return made


def summary_text(plan: Plan, who: tuple[str, ...], order: Mapping[str, int], width: int = 76) -> str:
    """The confirmation as plain text, for copying."""
    from tui.present.lines import plain
    from tui.signs import UNICODE

    return "\n".join(plain(row) for row in confirm_lines(plan, who, order, width, UNICODE))


def command_of(step: Step) -> str:
    """The commands of a step, a line each."""
    return "\n".join(command_text(command) for command in step.commands)
