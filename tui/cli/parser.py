"""The command line: one parser per command, cheap to build. Only commands that work are here."""

import argparse
from collections.abc import Sequence
from typing import Final, NoReturn

from mesh.errors import UsageError

EPILOG: Final = """\
examples:
  meshwright demo                              walk the whole way in the embedded lab
  meshwright                                   the same on your own clusters
  meshwright check --context a --context b     what holds, what does not, and why
  meshwright plan --context a --context b      the steps that would join them
  meshwright reach a b                         whether their nodes reach each other, hop by hop
  meshwright check --lab classic               a lab of its own for this one command

exit codes: 0 clean, 1 findings, 2 usage, 3 could not determine, 4 partly applied, 5 refused,
            70 internal error, 124 deadline, 129/130/143 signals
"""


class Parser(argparse.ArgumentParser):
    """Errors are ``UsageError`` so that every wrong call ends the same way."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of exit."""
        raise UsageError(message, hint=f"{self.prog} --help lists what there is.")


def build_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="meshwright",
        description="Join Kubernetes clusters of different clouds into one Cilium Cluster Mesh.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _clusters(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    _demo(commands.add_parser("demo", help="the app in the embedded lab", allow_abbrev=False))
    _lab(commands.add_parser("lab", help="the embedded lab alone: up, faults, scenarios, inject, clear, state"))
    _judging(commands)
    _looking(commands)
    return parser


def _judging(commands: "argparse._SubParsersAction[Parser]") -> None:
    check = commands.add_parser("check", help="judge what must hold before and in a mesh", allow_abbrev=False)
    _reading(check)
    _choices(check)
    _deadline(check)
    _output(check, "text", "wide", "json")
    check.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="N",
        help="only this layer, repeatable: 0 to 9 as explain lists them",
    )
    check.add_argument(
        "--fail-on",
        choices=("info", "warn", "error", "critical"),
        default="error",
        help="the severity from which a finding makes exit 1; error if left out",
    )
    check.add_argument(
        "--unknown", choices=("ok", "fail"), default="fail", help="fail: what is unknown makes exit 3; ok: it does not"
    )
    plan = commands.add_parser("plan", help="the steps of a join; changes nothing", allow_abbrev=False)
    _reading(plan)
    _choices(plan)
    _deadline(plan)
    _output(plan, "text", "json")
    plan.add_argument("--write", metavar="FILE", help="keep the plan for apply --plan")
    plan.add_argument(
        "--write-values", metavar="DIR", help="write the values files that the plan's helm lines name into DIR"
    )
    apply = commands.add_parser("apply", help="carry a join out", allow_abbrev=False)
    _reading(apply, files=False)
    _choices(apply)
    _consent(apply)
    apply.add_argument("--plan", metavar="FILE", help="carry out this plan, or refuse if the clusters changed since")
    _output(apply, "text", "json")
    resume = commands.add_parser(
        "resume", help="go on with a run that was cut off, stopped or failed", allow_abbrev=False
    )
    _clusters(resume)
    _consent(resume)
    resume.add_argument("run", nargs="?", type=int, help="number of the run; the newest unfinished one if left out")
    _output(resume, "text", "json")


def _looking(commands: "argparse._SubParsersAction[Parser]") -> None:
    graph = commands.add_parser("graph", help="draw the mesh and its global services", allow_abbrev=False)
    _reading(graph)
    _deadline(graph)
    _output(graph, "text", "json")
    graph.add_argument("--width", type=int, default=0, metavar="N", help="columns, 60 or more; the terminal's, else 80")
    graph.add_argument("--all", action="store_true", help="draw healthy links of large meshes too")
    graph.add_argument("--ascii", action="store_true", help="signs of ASCII only")
    reach = commands.add_parser("reach", help="whether nodes of one cluster reach another's, hop by hop")
    reach.add_argument("source", metavar="FROM", help="a context, or the name given with --cluster")
    reach.add_argument("target", metavar="TO", help="the other one; both directions are judged")
    reach.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="PORT/PROTOCOL",
        help="such as 8472/udp, 4240/tcp, icmp, esp; repeatable; what the mesh sends if left out",
    )
    _reading(reach)
    _deadline(reach)
    _output(reach, "text", "json")
    reach.add_argument("--hops", action="store_true", help="show the hops of open paths too")
    reach.add_argument("--ascii", action="store_true", help="signs of ASCII only")
    explain = commands.add_parser("explain", help="what a finding's code means; works offline", allow_abbrev=False)
    explain.add_argument("code", nargs="?", help="such as CM0403; all codes if left out")
    _output(explain, "text", "markdown", "json")
    rights = commands.add_parser("rights", help="the rights that reading or joining needs, and which are there")
    _reading(rights)
    _deadline(rights)
    rights.add_argument(
        "--for", dest="purpose", choices=("check", "apply"), default="check", help="reading (check) or joining (apply)"
    )
    rights.add_argument(
        "--cloud",
        choices=("aws", "azure"),
        default="",
        help="print the IAM policy or the Azure role that it needs, and ask no cluster",
    )
    _output(rights, "text", "json")
    version = commands.add_parser("version", help="the version; needs no cluster", allow_abbrev=False)
    _output(version, "text", "json")


def _clusters(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("clusters")
    group.add_argument(
        "--context", action="append", default=[], metavar="NAME", help="a kubeconfig context, repeatable"
    )
    group.add_argument(
        "--cluster",
        action="append",
        default=[],
        metavar="NAME=CONTEXT[@FILE]",
        help="a context under a name of your own, repeatable",
    )
    group.add_argument("--kubeconfig", metavar="FILE", help="this file instead of KUBECONFIG")


def _reading(parser: argparse.ArgumentParser, *, files: bool = True) -> None:
    """``files`` = a recording will do."""
    _clusters(parser)
    group = parser.add_argument_group("where facts come from")
    group.add_argument("--lab", metavar="SCENARIO[:FAULT,…]", help="a lab of its own that ends with this command")
    if files:
        group.add_argument(
            "--from", dest="bundle", nargs="+", default=[], metavar="PATH", help="recordings or a snapshot"
        )


def _choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="CHOICE=VALUE",
        help="a choice of the join, repeatable: version, mtu, exposure, ca, certificates, image, and pods, name, id, "
        "nodeport, apiserver with .CLUSTER, such as pods.CLUSTER=10.120.0.0/16",
    )


def _deadline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=duration, default=300.0, metavar="DURATION", help="90s, 5m, 1h30m; 5m if left out"
    )


def _consent(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="consent to the printed plan, disruptive steps included")
    parser.add_argument(
        "--confirm",
        action="append",
        default=[],
        metavar="CLUSTER",
        help="consent to irreversible steps in this cluster",
    )


def _output(parser: argparse.ArgumentParser, *formats: str) -> None:
    parser.add_argument(
        "-o", "--output", choices=formats, default=formats[0], help=f"form of what is printed; {formats[0]} if left out"
    )


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", metavar="NAME", help="start it at once instead of showing the list")
    parser.add_argument("--fault", default="", metavar="A,B", help="faults to inject at the start")
    _pace(parser)


def _pace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--speed", type=float, default=1.0, metavar="N", help="lab seconds per second")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="for everything random in the lab")


def _lab(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    up = actions.add_parser("up", help="start the lab and stay; prints what a shell needs", allow_abbrev=False)
    up.add_argument("--scenario", default="fresh", metavar="NAME", help="one of lab scenarios; fresh if left out")
    up.add_argument("--fault", default="", metavar="A,B", help="faults to inject at the start")
    _pace(up)
    _output(up, "text", "json")
    for name, text in (("scenarios", "what can be started"), ("faults", "what can be injected")):
        _output(actions.add_parser(name, help=text, allow_abbrev=False), "text", "json")
    for name, text in (("inject", "inject a fault"), ("clear", "take a fault back"), ("state", "the lab's true state")):
        action = actions.add_parser(name, help=f"{text} in a running lab (MESHWRIGHT_LAB_CONTROL)", allow_abbrev=False)
        if name == "inject":
            text = "a name of lab faults; where it goes after a colon, such as exec-denied:target=CLUSTER"
            action.add_argument("fault", metavar="FAULT[:KEY=NAME,…]", help=text)
        elif name == "clear":
            action.add_argument("fault", metavar="FAULT", help="a name of lab faults")


def duration(text: str) -> float:
    """Seconds of ``90s``, ``5m``, ``1h30m`` or a bare number of seconds. Raises ``ValueError``."""
    import re

    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or not found:
        raise ValueError(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600.0 + minutes * 60 + seconds


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments of a call. Raises ``UsageError``; ``--help`` ends the program with 0."""
    arguments = build_parser().parse_args(list(argv))
    if getattr(arguments, "lab", None) is not None and (getattr(arguments, "bundle", []) or arguments.kubeconfig):
        raise UsageError("--lab brings its own clusters", hint="Leave --from and --kubeconfig out.")
    return arguments
