"""The words of a finding, from the record of its check. Imported late: all checks come with it."""

from mesh.finding import Finding


def message(finding: Finding, *, short: bool = False) -> str:
    """One sentence; ``short`` shortens long ids as lists show them."""
    from mesh import explain

    return explain.message(finding, short=short)


def title_of(finding: Finding) -> str:
    """The check's title, or its code."""
    from mesh import explain

    return explain.title(finding.code) or finding.code


def why_of(finding: Finding) -> str:
    """Why it matters."""
    from mesh import explain

    check = explain.BY_CODE.get(finding.code)
    return check.why if check else ""


def docs_of(finding: Finding) -> tuple[str, ...]:
    """Where the documentation tells of it."""
    from mesh import explain

    check = explain.BY_CODE.get(finding.code)
    return check.docs if check else ()
