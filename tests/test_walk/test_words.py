"""What a newcomer reads on the command line, on recorded clusters: states, reasons, files, signs, ways on."""

import json
import re
from pathlib import Path

import pytest

from tests.test_walk.walking import Done, call

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"


def said(command: str, scenario: str, *more: str) -> Done:
    return call(command, "--from", str(RECORDINGS / scenario), *more)


def test_a_failure_of_low_severity_is_not_called_a_warning() -> None:
    done = said("check", "mixed-routing-1.19.5", "--unknown", "ok")
    assert done.code == 1
    rows = [line for line in done.out.splitlines() if line.startswith("✗")]
    assert rows and all(re.match(r"✗ CM\d{4} FAIL \((warn|error|critical)\) ", row) for row in rows)
    told = re.search(r"FAIL by severity: 1 critical \(--fail-on error counts 1\)", done.out)
    assert told and "FAIL 1 (0 explained)" in done.out.splitlines()[-1]


def test_what_a_recording_cannot_tell_is_said_once_with_its_reason() -> None:
    done = said("check", "connected-1.19.5")
    assert done.code == 3
    unknown = [line for line in done.out.splitlines() if line.startswith("?")]
    codes = [line.split()[1] for line in unknown]
    assert codes and len(codes) == len(set(codes))
    assert all("a recording" in line and "?" in line[1:] for line in unknown)
    assert "cloud.network: a recording has no cloud to ask" in done.out and "exit 3; --unknown ok" in done.out
    assert said("check", "connected-1.19.5", "--unknown", "ok").code == 0


def test_nothing_is_left_out_of_the_wide_form() -> None:
    done = said("check", "connected-1.19.5", "-o", "wide")
    unknown = [line for line in done.out.splitlines() if re.match(r"\? CM0101 UNKNOWN ", line)]
    assert len(unknown) == 2, "one for each cluster"


def test_to_do_leads_to_the_plan() -> None:
    done = said("check", "fresh-none")
    assert "(to do) is what a join changes: meshwright plan" in done.out
    plan = said("plan", "fresh-none")
    assert plan.code == 5 and "In the way of applying it:" in plan.out
    assert "apply needs the clusters themselves" in plan.out and "--write-values DIR" in plan.out


def test_the_values_files_of_the_plan_are_written_where_asked(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "values"
    done = said("plan", "fresh-none", "--write-values", str(folder))
    flat = re.sub(r" \\\n *", " ", done.out)
    named = set(re.findall(r"--values (\S+)", flat)) - {f"{name}-connect.json" for name in ("mesh-aks", "mesh-eks")}
    assert {path.name for path in folder.iterdir()} == named == {"mesh-aks-install.json", "mesh-eks-install.json"}
    values = json.loads((folder / "mesh-eks-install.json").read_text())
    assert values["cluster"]["name"] == "mesh-eks" and "ca" not in values.get("tls", {})
    (tmp_path / "file").write_text("")
    refused = said("plan", "fresh-none", "--write-values", str(tmp_path / "file" / "in"))
    assert refused.code == 2 and "cannot be written" in refused.err


def test_a_folder_of_scenarios_names_its_folders() -> None:
    done = call("check", "--from", str(RECORDINGS))
    assert (
        done.code == 2 and "There is nothing to read" in done.err and str(RECORDINGS / "connected-1.19.5") in done.err
    )


@pytest.mark.parametrize("width", ["40", "59", "-1"])
def test_a_picture_that_would_not_fit_is_refused(width: str) -> None:
    done = said("graph", "connected-1.19.5", f"--width={width}")
    assert done.code == 2 and "too narrow" in done.err and "--width 60" in done.err


def test_a_picture_fits_and_explains_its_signs() -> None:
    done = said("graph", "connected-1.19.5", "--width", "60")
    assert done.code == 0 and max(map(len, done.out.splitlines())) <= 60
    assert "≠ affinity differs between clusters" in done.out and "? link not known" in done.out
