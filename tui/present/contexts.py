"""Clusters: which contexts there are, what each really is, and which are chosen (screens.md §3.1)."""

import shlex
from pathlib import PurePath

from rich.cells import cell_len

from mesh import catalogue
from mesh.model.context import Access, ContextPeek, ContextRef, Provider
from mesh.model.network import CloudIdentity
from mesh.subject import OfCluster
from mesh.text import elide
from tui.present import words
from tui.present.lines import Line, Row, Span, column, labelled, line, pad, wrapped
from tui.session import Session
from tui.signs import Signs

FILE = "file:"


def short_path(path: str, home: str = "") -> str:
    """A path with the home folder as ``~``."""
    return "~" + path[len(home) :] if home and (path == home or path.startswith(home + "/")) else path


def sign_in_words(session: Session, key: str) -> str:
    """Why one would sign in; of a login that is good, or that was not looked at, nothing else is said."""
    peek = session.peeks.get(key)
    if peek is None:
        return f"{key} was not looked at yet. This command signs in:"
    if peek.access is Access.EXPIRED:
        return f"The login of {key} has ended. This command renews it:"
    if peek.access in (Access.READY, Access.PARTIAL):
        return f"{key} is signed in. This command signs in anew:"
    return f"{key} is {peek.access.value}: whether its login is good is not known. This command signs in:"


def heading(width: int, signs: Signs) -> Row:
    """The column heads."""
    cells = _cells("", "Context", "Cloud", "Where", "K8s", "Cilium", ("Access", "muted"), width, signs, "muted")
    return Row("", (cells,))


def _no_lab(session: Session, width: int, signs: Signs) -> list[Line]:
    """Why the lab did not start, and what next."""
    told = wrapped(session.lab_error, width - 4, "fail", f"  {signs.fail} ", "    ")
    return [*told, (), line("  ", (signs.enter, "key"), " chooses a scenario.")]


def rows(session: Session, width: int, signs: Signs, find: str = "", home: str = "") -> list[Row]:
    """Files with their contexts; a file that could not be used says why."""
    listed = session.contexts
    if session.lab_state == "failed":
        return [Row("", tuple(_no_lab(session, width, signs)))]
    if listed is None:
        told = f"starting lab {session.lab}" if session.lab_state == "starting" else "reading kubeconfig files"
        return [Row("", (line((f"  {signs.running} {told}", "muted")),))]
    if not listed.contexts and not listed.problems:
        return _none(session, width, home)
    made = [heading(width, signs)]
    problems = {problem.file: problem for problem in listed.problems}
    for file in dict.fromkeys([*(ref.file for ref in listed.contexts), *problems]):
        shown = [ref for ref in listed.contexts if ref.file == file and _matches(ref, find)]
        name = short_path(file, home)
        if file in problems:
            text = f"{signs.fail} {problems[file].problem}"
            made.append(Row(FILE + file, (line((f"   {name}  ", "name"), (text, "fail")),)))
        elif shown:
            made.append(Row("", (line((f" {signs.opened} {name}", "name")),)))
        made += [Row(ref.key, (_context(session, ref, width, signs),)) for ref in shown]
    if not any(row.key for row in made):
        made.append(Row("", (line((f"  no context matches {find}", "muted")),)))
    return made


def _none(session: Session, width: int, home: str) -> list[Row]:
    searched = session.contexts.searched if session.contexts else ()
    where = ", ".join(short_path(path, home) for path in searched) or "KUBECONFIG and ~/.kube/config"
    lines = [
        line(("  No kubeconfig was found.", "title")),
        *wrapped(f"Looked at {where}.", width - 1, "", "  ", "  "),
        line("  Set KUBECONFIG or give --kubeconfig; ", ("meshwright demo", "key"), " needs neither."),
    ]
    return [Row("", tuple(lines))]


def _matches(ref: ContextRef, find: str) -> bool:
    told = f"{ref.key} {ref.context} {ref.provider.value} {ref.region} {ref.account} {ref.file}".lower()
    return all(word.partition(":")[2] in told if ":" in word else word in told for word in find.lower().split())


def _context(session: Session, ref: ContextRef, width: int, signs: Signs) -> Line:
    peek = session.peeks.get(ref.key)
    mark = signs.chosen if ref.key in session.chosen else signs.free
    return _cells(
        mark,
        ref.key,
        ref.provider.value if ref.provider is not Provider.OTHER else "",
        where(ref, peek, session.store.value(catalogue.CLOUD, OfCluster(ref.key))),
        kubernetes(peek, signs),
        cilium(peek, signs),
        access(session, ref.key, signs),
        width,
        signs,
    )


def _cells(
    mark: str,
    name: str,
    cloud: str,
    place: str,
    version: str,
    agent: str,
    state: Span,
    width: int,
    signs: Signs,
    token: str = "",
) -> Line:
    spare = max(width - 80, 0)
    if width >= 80:
        wide, place_width = 18 + spare // 2, 21 + spare - spare // 2
        middle = f"{column(cloud, 6, signs)} {column(place, place_width, signs)} {column(version, 5, signs)} "
    else:
        wide, middle = max(width - 28, 12), ""
    head = f" {mark.rjust(3)} " if len(mark) <= 3 else mark
    return line(
        (head, token),
        (column(name, wide, signs) + " ", token or ("name" if mark == signs.chosen else "")),
        (f"{middle}{column(agent, 10, signs)} ", token),
        state,
    )


def where(ref: ContextRef, peek: ContextPeek | None, identity: CloudIdentity | None = None) -> str:
    """Region and the end of the account, ``ap-northeast-1 …4321``: as the cloud told, where it was read."""
    if identity and identity.region:
        return f"{pad(identity.region, 14)} {f'…{identity.account[-4:]}' if identity.account else ''}".rstrip()
    if peek and peek.where:
        return peek.where
    tail = f"…{ref.account[-4:]}" if ref.account else ""
    if ref.provider is Provider.KIND:
        return "this machine"
    place = ref.region or ref.group
    return f"{pad(place, max(14, cell_len(place)))} {tail}".rstrip() if place else tail


def kubernetes(peek: ContextPeek | None, signs: Signs) -> str:
    """``1.31``; ``·`` = not looked at, ``?`` = could not be read."""
    if peek is None:
        return signs.todo
    return ".".join(peek.version.lstrip("v").split(".")[:2]) if peek.version else signs.unknown


def cilium(peek: ContextPeek | None, signs: Signs) -> str:
    """``1.19.5 #1``, ``none``, ``managed``, ``?``."""
    if peek is None:
        return signs.todo
    if peek.managed:
        return "managed"
    if peek.cilium_version:
        number = f" #{peek.cilium_id}" if peek.cilium_id else ""
        return peek.cilium_version.lstrip("v") + number
    return "none" if peek.access in (Access.READY, Access.PARTIAL) and peek.version else signs.unknown


def access(session: Session, key: str, signs: Signs) -> Span:
    """The access state; a second context of one cluster and a managed mesh cannot be chosen."""
    peek = session.peeks.get(key)
    if key in session.twins:
        return (f"{signs.blocked} same", "muted")
    if peek and peek.managed:
        return (f"{signs.blocked} managed", "muted")
    if key in session.peeking and (peek is None or peek.access is Access.READING):
        return words.access_words(Access.READING, signs)
    return words.access_words(peek.access if peek else None, signs)


def why_not_chosen(session: Session, key: str) -> str:
    """Why a context cannot be chosen; "" if it can."""
    twin = session.twins.get(key)
    if twin:
        peek = session.peeks.get(key)
        uid = elide(peek.cluster_uid, 9) if peek else ""
        return f"{key} is {twin}: same kube-system UID {uid}"
    peek = session.peeks.get(key)
    if peek and peek.managed:
        return f"{key} has a mesh managed by its provider: {peek.detail or 'it is not ours to change'} (CM0204)"
    return ""


def detail(session: Session, key: str, width: int, signs: Signs, home: str = "") -> list[Line]:
    """What the highlighted context is, how it signs in, and what is missing."""
    if key.startswith(FILE):
        return _file_detail(session, key[len(FILE) :], width)
    ref = session.ref(key)
    if ref is None:
        return []
    peek = session.peeks.get(key)
    sign, token = access(session, key, signs)
    told = _told(session, key, peek)
    made = [line((column(f" {key}", 23, signs) + " ", "title"), (sign + (f": {told}" if told else ""), token))]
    made += labelled("server", ref.server or "none in the file", width)
    identity = [part for part in (ref.account, ref.region, ref.group, ref.cloud_name) if part]
    if identity:
        made += labelled("identity", f" {signs.dot} ".join(identity), width)
    login = peek.login if peek else ()
    if login:
        made += labelled("login", f"{shlex.join(login)}   (i runs it)", width, "key")
    made += labelled(
        "signs in", shlex.join(ref.exec_argv) if ref.exec_argv else "certificate or token in the file", width
    )
    for right in (peek.missing if peek else ())[:6]:
        made += labelled("missing", right, width, "warn")
    if peek and peek.missing:
        made += labelled("effect", "what needs these rights will be ?, everything else can be read", width)
    made += labelled("context", f"{ref.context} of {short_path(ref.file, home)}", width, "muted")
    return made


def _told(session: Session, key: str, peek: ContextPeek | None) -> str:
    twin = session.twins.get(key)
    if twin:
        return f"the same cluster as {twin}"
    if peek is None:
        return "not looked at yet" if key not in session.peeking else ""
    if peek.access is Access.PARTIAL and peek.rights[1]:
        return f"{peek.rights[0]} of {peek.rights[1]} rights"
    return peek.detail


def _file_detail(session: Session, file: str, width: int) -> list[Line]:
    problems = session.contexts.problems if session.contexts else ()
    problem = next((item for item in problems if item.file == file), None)
    if problem is None:
        return []
    made = [line((f" {PurePath(file).name}", "title"))]
    made += labelled("file", file, width)
    made += labelled("problem", problem.problem, width, "fail")
    return made + (labelled("next", problem.hint, width) if problem.hint else [])


def title(session: Session) -> tuple[str, str]:
    """Title and what stands at its right."""
    return "Choose the clusters to join", f"{len(session.chosen)} chosen"


def status(session: Session) -> str:
    """What is chosen, in one sentence, and why another row is not."""
    if session.contexts is None or not session.refs:
        return ""
    number = len(session.chosen)
    partial = sum(
        peek.access is Access.PARTIAL for key in session.chosen if (peek := session.peeks.get(key)) is not None
    )
    said = f"{number} {'cluster' if number == 1 else 'clusters'} chosen" + (f", {partial} partial" if partial else "")
    twins = [f"{key} is the same cluster as {other}." for key, other in session.twins.items()]
    return " ".join([said + ".", *twins[:1]])


def copied(ref: ContextRef, home: str = "") -> str:
    """The argument that names this context and no other."""
    return f"--cluster {shlex.quote(f'{ref.key}={ref.context}@{short_path(ref.file, home)}')}"
