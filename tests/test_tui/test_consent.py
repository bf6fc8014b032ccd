"""Who says yes to a plan on the command line: what is asked, what is typed, and what neither lets through."""

import argparse
import io
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from mesh.errors import Refused
from mesh.finding import Risk
from mesh.plan import Plan
from tests.test_tui.test_plan_text import plan_of
from tui.cli.consent import consented

Asked = Callable[..., str]


class Typed(io.StringIO):
    """A terminal on which this is typed."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Ask for consent while this is typed; what was shown."""

    def ask(plan: Plan, typed: str, *confirm: str, yes: bool = False, shown: io.StringIO | None = None) -> str:
        screen = shown or Typed()
        monkeypatch.setattr("sys.stdin", Typed(typed))
        monkeypatch.setattr("sys.stderr", screen)
        consented(plan, argparse.Namespace(yes=yes, confirm=list(confirm)))
        return screen.getvalue()

    return ask


def only(plan: Plan, risk: Risk) -> Plan:
    return replace(plan, steps=tuple(replace(step, risk=risk) for step in plan.steps))


def test_what_it_means_stands_where_the_names_are_typed(asked: Asked) -> None:
    plan = plan_of("classic")
    told = asked(plan, "eks-tokyo\naks-east\n")
    summary, _, names = told.partition("Type the cluster name")
    assert f"{len(plan.todo())} steps" in summary and "disruptive" in summary and "can be undone" in summary
    disruptive = [step for step in plan.todo() if step.risk is Risk.DISRUPTIVE]
    assert disruptive and all(step.consequence in " ".join(summary.split()) for step in disruptive)
    assert "eks-tokyo\n> " in names and names.endswith("aks-east\n> ")
    assert len(told.splitlines()) <= 24, "in one view"


@pytest.mark.parametrize("typed", ["", "y\n", "aks-east\neks-tokyo\n", "eks-tokyo\nyes\n", "EKS-TOKYO\naks-east\n"])
def test_anything_else_changes_nothing(asked: Asked, typed: str) -> None:
    with pytest.raises(Refused, match="was not confirmed"):
        asked(plan_of("classic"), typed)


def test_where_nothing_is_disruptive_one_word_is_enough(asked: Asked) -> None:
    plan = only(plan_of("classic"), Risk.LOW)
    assert "Type apply" in asked(plan, "apply\n")
    with pytest.raises(Refused, match="was not confirmed"):
        asked(plan, "yes\n")


def test_what_cannot_be_undone_needs_its_flag_whatever_else_is_said(asked: Asked) -> None:
    plan = only(plan_of("classic"), Risk.IRREVERSIBLE)
    for confirmed in ((), ("eks-tokyo",)):
        with pytest.raises(Refused, match="were not confirmed") as caught:
            asked(plan, "eks-tokyo\naks-east\n", *confirmed, yes=True)
        assert "--confirm aks-east" in caught.value.hint
    asked(plan, "", "eks-tokyo", "aks-east", yes=True)


def test_nobody_is_asked_where_nobody_can_answer(asked: Asked) -> None:
    with pytest.raises(Refused, match="Nobody consented"):
        asked(plan_of("classic"), "eks-tokyo\naks-east\n", shown=io.StringIO())
