"""The picture and the table that ``cilium status`` prints."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from backends.lab.commands.cilium.status import Status

RED, YELLOW, BLUE, GREEN = "\033[31m", "\033[33m", "\033[34m", "\033[32m"
MAGENTA, CYAN, RESET = "\033[35m", "\033[36m", "\033[0m"
_GAP: Final = 4
_COLORS: Final = {"Failed": RED, "Unknown": RED, "Running": GREEN, "Pending": GREEN, "Succeeded": GREEN}


def summary(status: "Status") -> str:
    """The whole text."""
    rows = [*_picture(status), []]
    for name, state in sorted(status.pod_state.items()):
        rows.append([str(state["Type"]), name, _state(state)])
    rows += _headed("Containers:", [[name, _phases(phases)] for name, phases in sorted(status.phases.items())])
    rows.append(["Cluster Pods:", f"{status.managed}/{status.pods} managed by Cilium"])
    rows.append(["Helm chart version:", status.chart_version])
    images = [
        [name, f"{image}: {count}"] for name, found in sorted(status.images.items()) for image, count in found.items()
    ]
    rows += _headed("Image versions", images)
    if status.config_errors:
        rows += _headed("Configuration:", [["", text] for text in status.config_errors])
    for header, key in (("Errors:", "Errors"), ("Warnings:", "Warnings")):
        lines = [
            [deployment, pod, text]
            for deployment, pods in sorted(status.errors.items())
            for pod, found in sorted(pods.items())
            for text in found[key]
        ]
        rows += _headed(header, lines)
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Cells below each other where neighbouring rows have them; a row's last cell is in no column (``tabwriter``)."""
    widths = [[0] * max(len(row) - 1, 0) for row in rows]
    for start in range(len(rows)):
        for column in range(len(widths[start])):
            if start and column < len(widths[start - 1]):
                continue
            end = start
            while end < len(rows) and column < len(widths[end]):
                end += 1
            width = max(len(row[column]) for row in rows[start:end]) + _GAP
            for row in range(start, end):
                widths[row][column] = width
    return "".join(f"{_line(row, [*known, 0])}\n" for row, known in zip(rows, widths, strict=True))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))


def _picture(status: "Status") -> list[list[str]]:
    envoy = _word(status, "cilium-envoy").replace("disabled", "disabled (using embedded mode)", 1)
    return [
        [f"{YELLOW}    /¯¯\\"],
        [f"{CYAN} /¯¯{YELLOW}\\__/{GREEN}¯¯\\{RESET}", "Cilium:", _word(status, "cilium")],
        [f"{CYAN} \\__{RED}/¯¯\\{GREEN}__/{RESET}", "Operator:", _word(status, "cilium-operator")],
        [f"{GREEN} /¯¯{RED}\\__/{MAGENTA}¯¯\\{RESET}", "Envoy DaemonSet:", envoy],
        [f"{GREEN} \\__{BLUE}/¯¯\\{MAGENTA}__/{RESET}", "Hubble Relay:", _word(status, "hubble-relay")],
        [f"{BLUE}{BLUE}{BLUE}    \\__/{RESET}", "ClusterMesh:", _word(status, "clustermesh-apiserver")],
    ]


def _word(status: "Status", name: str) -> str:
    pods = status.errors.get(name, {}).values()
    errors, warnings = sum(len(pod["Errors"]) for pod in pods), sum(len(pod["Warnings"]) for pod in pods)
    parts = [
        *([f"{RED}{errors} errors{RESET}"] if errors else []),
        *([f"{YELLOW}{warnings} warnings{RESET}"] if warnings else []),
        *([f"{CYAN}disabled{RESET}"] if any(pod["Disabled"] for pod in pods) else []),
    ]
    return ", ".join(parts) or f"{GREEN}OK{RESET}"


def _state(state: Mapping[str, object]) -> str:
    desired, ready, available, unavailable = (
        int(str(state[key])) for key in ("Desired", "Ready", "Available", "Unavailable")
    )
    color = YELLOW if ready < desired else GREEN
    parts = [
        *([f"Desired: {desired}"] if desired else []),
        *([f"Ready: {color}{ready}/{desired}{RESET}"] if ready else []),
        *([f"Available: {color}{available}/{desired}{RESET}"] if available else []),
        *([f"Unavailable: {RED}{unavailable}/{desired}{RESET}"] if unavailable else []),
    ]
    return ", ".join(parts)


def _phases(phases: Mapping[str, int]) -> str:
    return ", ".join(f"{phase}: {_COLORS.get(phase, '')}{count}{RESET}" for phase, count in sorted(phases.items()))


def _headed(header: str, lines: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[header if index == 0 else "", *line] for index, line in enumerate(lines)]
