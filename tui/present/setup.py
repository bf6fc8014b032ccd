"""Set-up: what a run does, waits for and how it ended (screens.md §3.7)."""

from rich.cells import cell_len

from mesh.draw.lanes import answers_in_words
from mesh.journal import RunRecord
from mesh.plan import Prove, Step
from tui.present import words
from tui.present.lines import Line, Row, at_most, column, cut, line, rule, wrapped
from tui.present.plan import needs, where
from tui.present.texts import message
from tui.session import RunView, Session
from tui.signs import Signs

BEGUN = ("running", "done", "already", "failed", "cancelled", "undone", "skipped", "started", "sent")


def title(session: Session) -> tuple[str, str]:
    """``Join a and b``, ``3 done · 2 running · 5 to go · about 8 m``."""
    run = session.run
    if run is None:
        return "Set-up", ""
    if run.state == "cut off":
        cut_in = next(
            (number for step, number in run.plan.numbers.items() if run.of(step).state in ("started", "sent")), 0
        )
        return f"Run {run.number} was cut off" + (f" in step {cut_in}" if cut_in else ""), ""
    if run.state == "done":
        return f"Joined in {words.clock(run.seconds)}", "all steps done"
    return run.plan.title, counts(run, session.now)


def counts(run: RunView, now: float) -> str:
    """How many steps are in which state."""
    states = [run.of(step.id).state for step in run.plan.todo()]
    done = sum(state in ("done", "already") for state in states)
    parts = [f"{done} done"]
    for state, word in (("running", "running"), ("failed", "failed"), ("cancelled", "stopped")):
        number = states.count(state)
        if number:
            parts.append(f"{number} {word}")
    waiting = sum(state not in BEGUN for state in states)
    if run.state == "failed":
        parts += [f"{waiting} blocked"] if waiting else []
        parts.append("nothing is running")
    elif waiting:
        parts.append(f"{waiting} to go")
        parts.append(_left(run, now))
    if run.state == "paused":
        parts.append("paused")
    return " · ".join(parts)


def _left(run: RunView, now: float) -> str:
    """How long it takes until the end: of what runs, what is left of its usual time."""
    left: dict[str, float] = {}
    measured = True
    for step in run.plan.todo():
        view = run.of(step.id)
        if view.state == "running" or view.state not in BEGUN:
            spent = now - view.started if view.state == "running" else 0.0
            left[step.id] = max(step.usual - spent, 0.0)
            measured = measured and step.measured
    return f"{'about' if measured else 'up to'} {words.duration(run.plan.lasts(left))}"


def unfinished_lines(record: RunRecord, width: int) -> list[Line]:
    """What the first row of Clusters says of a run that did not end well."""
    todo = record.plan.todo()
    done = sum(step.id in record.steps and record.steps[step.id].state in ("done", "already") for step in todo)
    told = f"{done} of {len(todo)} steps were done. It opens in Set-up, which only reads what is really there."
    return [line((f" Run {record.run}  {record.plan.title}", "title")), *wrapped(told, width - 2, "", "   ", "   ")]


def nothing(session: Session) -> list[Line]:
    """What the place says before anything was applied."""
    if session.unfinished is not None:
        return [line(f"  Run {session.unfinished.run} is unfinished: ", ("1", "key"), " shows it as its first row.")]
    return [line("  Nothing was applied yet: ", ("4", "key"), " shows the plan, ", ("A", "key"), " there applies it.")]


def rows(session: Session, width: int, signs: Signs) -> list[Row]:
    """The steps of the run."""
    run = session.run
    if run is None:
        return [Row("", tuple(nothing(session)))]
    return [_row(step, run, session.now, width, signs) for step in run.plan.todo()]


def _row(step: Step, run: RunView, now: float, width: int, signs: Signs) -> Row:
    view = run.of(step.id)
    state = shown_state(step, run)
    sign, token = words.step_sign(state, signs)
    if run.state == "paused" and state == "":
        sign, token = signs.todo, "muted"
    number = run.plan.numbers[step.id]
    room, place = (38 + min(max(width - 80, 0), 24), 12) if width >= 80 else (max(width - 26, 14), 0)
    time, time_token = _time(step, run, now)
    body = f"{column(step.title, room, signs)}" + (f"{column(where(step, run.plan), place, signs)} " if place else " ")
    text_token = "muted" if state in ("", "blocked") else ""
    del view
    return Row(
        step.id,
        (line(" ", " ", (column(sign, 2, signs), token), (f"{number:<2} {body}", text_token), (time, time_token)),),
    )


def shown_state(step: Step, run: RunView) -> str:
    """The state of a step; one that never began is blocked once the run has failed."""
    state = run.of(step.id).state
    if state:
        return state
    return "blocked" if run.state == "failed" else ""


def _time(step: Step, run: RunView, now: float) -> tuple[str, str]:
    view = run.of(step.id)
    if view.state == "running":
        spent = now - view.started
        over = spent > step.usual
        return f"{words.clock(spent)} of {words.clock(step.usual)}", "warn" if over else ""
    if view.state in ("done", "failed", "cancelled"):
        return words.clock(view.seconds), "fail" if view.state == "failed" else "muted"
    if view.state in ("already", "undone", "skipped"):
        return words.STEP_WORDS[view.state], "muted"
    if view.state in ("started", "sent"):
        return words.STEP_WORDS[view.state], "unknown"
    if run.state == "failed":
        return "blocked", "muted"
    told = needs(step, run.plan)
    return f"needs {told}" if told != "-" else "to do", "muted"


def step_of_interest(run: RunView) -> str:
    """The step to look at: one that failed, runs or was cut off; else the last that began; "" before any did."""
    todo = [step.id for step in run.plan.todo()]
    for states in (("failed",), ("running",), ("started", "sent"), ("cancelled",)):
        here = next((step for step in todo if run.of(step).state in states), "")
        if here:
            return here
    return next((step for step in reversed(todo) if run.of(step).state), "")


def log_head(
    step: Step | None, run: RunView, now: float, width: int, signs: Signs, following: bool, lines: int, find: str
) -> Line:
    """The line over the log: what the step waits for and whether the log follows."""
    if step is None:
        return rule("", "", width, signs, lead=1)
    number = run.plan.numbers.get(step.id, 0)
    view = run.of(step.id)
    left = f"step {number}"
    if view.state == "running" and view.waiting:
        until = f", until {words.clock(max(view.until - now, 0))}" if view.until else ""
        left += f" waits{until}" if _waits_long(view.waiting, width) else f" waits for: {view.waiting}{until}"
    elif view.state:
        left += f" {words.STEP_WORDS.get(view.state, view.state)}"
    told = "following" if following else f"{lines:,} lines, End follows"
    right = (f"{find} · " if find else "") + (told if lines else "no output")
    return rule(cut(left, width - len(right) - 10, signs), right, width, signs, lead=1)


def _waits_long(waiting: str, width: int) -> bool:
    """Whether what a step waits for does not fit in the line over its log."""
    return cell_len(f"step 10 waits for: {waiting}, until 00:00") > width - len("following") - 10


def outcome(session: Session, step: Step | None, width: int, signs: Signs) -> list[Line]:
    """How a step or run ended and the ways on: shown beside or below the steps."""
    run = session.run
    if run is None:
        return []
    if run.state == "cut off":
        return _cut_off(run, width, signs)
    if run.refusal:
        return [line((" REFUSED, nothing was changed", "fail")), *wrapped(run.refusal, width - 2, "", "   ", "   ")]
    failed = next((item for item in run.plan.todo() if run.of(item.id).state == "failed"), None)
    if run.state == "failed" and failed is not None:
        return _failed(run, failed, width, signs)
    if run.state == "cancelled":
        return [
            line((" STOPPED", "warn"), " what was done stays, nothing is half-written here"),
            line("   ", ("R", "key"), " goes on where it stopped"),
        ]
    return _step_words(run, step, width) if step is not None else []


def _step_words(run: RunView, step: Step, width: int) -> list[Line]:
    number = run.plan.numbers.get(step.id, 0)
    made = [line((f" STEP {number}  {step.title}", "title"))]
    made += wrapped(step.why, width - 2, "", "   ", "   ")
    if step.undo:
        made += wrapped(f"undo: {step.undo}", width - 2, "muted", "   ", "   ")
    view = run.of(step.id)
    if view.state == "running" and view.waiting:
        made += wrapped(f"waits for: {view.waiting}", width - 2, "", "   ", "   ")
    if view.message:
        made += wrapped(view.message, width - 2, "warn", "   ", "   ")
    if run.proof and any(isinstance(effect, Prove) for effect in step.effects):
        for told in answers_in_words(run.proof):
            made += wrapped(told, width - 2, "ok", "   ", "     ")
    return made


def _failed(run: RunView, failed: Step, width: int, signs: Signs) -> list[Line]:
    view = run.of(failed.id)
    made = [line((f" STEP {run.plan.numbers[failed.id]}  {failed.title}", "title"), (f"  {signs.fail} failed", "fail"))]
    if view.finding is not None:
        finding = view.finding
        subject = words.subject_words(finding.subject, signs)
        made += [(), line((" ROOT CAUSE", "title"), (f"   {signs.enter} opens the finding", "muted"))]
        told = f"{signs.fail} {finding.code} {subject}: {message(finding)}"
        made += wrapped(told, width - 2, "fail", "   ", "     ")
    made += [(), line((" WHERE IT STOPPED", "title")), *wrapped(view.message, width - 2, "", "   ", "   ")]
    made += [
        (),
        line((" WAYS ON", "title")),
        line("   ", ("R", "key"), " retry: goes on from what is really there"),
        line("   Nothing forces a choice: the run is kept in the journal."),
    ]
    return made


def _cut_off(run: RunView, width: int, signs: Signs) -> list[Line]:
    done = sum(run.of(step.id).state in ("done", "already") for step in run.plan.todo())
    return [
        line((f" {signs.warn} Run {run.number} was cut off", "warn"), f" after {done} of {len(run.plan.todo())} steps"),
        line("   ", ("A", "key"), " continues: each step is read first, what is already so is not done again"),
    ]


def status(session: Session) -> str:
    """The line of row 23 when nothing newer was announced."""
    run = session.run
    if run is None:
        return ""
    if run.state == "done":
        return f"Joined in {words.clock(run.seconds)}. {proof(run)}  > opens the mesh."
    if run.state in ("failed", "cancelled"):
        return end_words(session)
    order = run.plan.numbers
    for step in run.plan.todo():
        view = run.of(step.id)
        if view.state == "running" and session.now - view.started > step.usual:
            why = f" {view.waiting}." if view.waiting else ""
            return f"Step {order[step.id]} takes longer than usual ({words.clock(step.usual)}).{why}"
    return ""


def end_words(session: Session) -> str:
    """How the run ended, for the status row."""
    run = session.run
    if run is None:
        return ""
    if run.state == "done":
        return status(session)
    if run.state == "cancelled":
        return f"{run.summary or 'Stopped'}. Nothing is running; what was done stays, R goes on."
    order = run.plan.numbers
    failed = next((step for step in run.plan.todo() if run.of(step.id).state == "failed"), None)
    if failed is None:
        return run.summary
    view = run.of(failed.id)
    cause = view.finding.code if view.finding else view.message
    done = sum(run.of(step.id).state in ("done", "already") for step in run.plan.todo())
    return f"Step {order[failed.id]} failed: {cause}. Nothing is running; {done} steps stand."


def proof(run: RunView) -> str:
    """What the proof step proved."""
    return "Proof: one service answered on every side." if run.proof else ""


def narrow_outcome(session: Session, step: Step | None, width: int, signs: Signs) -> list[Line]:
    """At most four lines for the space between steps and log at 80 columns: only when there is something to decide, or
    what the step waits for needs them.
    """
    run = session.run
    if run is not None and step is not None and run.of(step.id).state == "running":
        waiting = run.of(step.id).waiting
        told = wrapped(f"waits for: {waiting}", width - 1, "", "  ", "    ")
        return at_most(told, 3, width, signs) if waiting and _waits_long(waiting, width) else []
    if run is None or not (run.refusal or run.state in ("failed", "cut off", "cancelled")):
        return []
    if run.state == "failed":
        failed = next((item for item in run.plan.todo() if run.of(item.id).state == "failed"), None)
        if failed is not None:
            view = run.of(failed.id)
            code = f"{view.finding.code} {message(view.finding)}" if view.finding else view.message
            made = wrapped(f"{signs.fail} {code}", width - 2, "fail", " ", "   ")[:2]
            behind = "finding" if view.finding else "step"
            keys = (("R", "retry"), (signs.enter, behind), ("c", "command"))
            return [*made, line(" ", *(span for key, does in keys for span in ((key, "key"), f" {does}  ")))]
    return outcome(session, None, width, signs)[:4]
