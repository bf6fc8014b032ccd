"""Words made from findings, and the page of every code."""

import json
import re
import shlex
from pathlib import Path

import pytest

from mesh.catalogue import FACTS
from mesh.checks import ALL_CHECKS, RETIRED
from mesh.engine import evaluate
from mesh.explain import fill, message, page, placeholders, reading, shell, short_id, title
from mesh.facts import FactKey, Reason
from mesh.finding import Check, Finding, Missing, Severity, State
from mesh.remedies import PAGES, REMEDIES
from mesh.subject import OfCluster
from tests.test_mesh.changes import A
from tests.test_mesh.faults import FAULTS

GIVEN = json.loads((Path(__file__).parent / "codes.json").read_text(encoding="utf-8"))


def root(code: str) -> Finding:
    world = FAULTS[code].world()
    return next(
        f for f in evaluate(world.judged(), world.clusters) if (f.code, f.subject) == (code, FAULTS[code].subject)
    )


def test_codes_are_for_ever() -> None:
    """Whoever adds a code adds it to codes.json; none is taken out or given another meaning."""
    assert {check.code: [check.layer, check.scope.value] for check in ALL_CHECKS} | {
        code: GIVEN[code] for code in RETIRED
    } == GIVEN
    assert not {check.code for check in ALL_CHECKS} & set(RETIRED)


def test_a_code_says_its_layer() -> None:
    assert all(check.code.startswith(f"CM0{check.layer}") for check in ALL_CHECKS)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("CM0003", "eks-tokyo is aks-east: same kube-system UID uid-eks-tokyo"),
        ("CM0201", "2/3 Cilium agents ready"),
        ("CM0302", "aks-east, eks-tokyo have the same cluster id 1"),
        ("CM0306", "routing mode native in aks-east, tunnel in eks-tokyo"),
        ("CM0321", "pool 10.224.128.0/17 of aks-east is inside network 10.224.0.0/16 of aks-east"),
        ("CM0403", "sg-00000001a has no rule for 8472/udp from 10.224.0.0/20"),
        ("CM0404", "sg-00000001a has no rule for 4240/tcp from 10.224.0.0/20"),
        ("CM0405", "sg-00000001b has no rule for 2379/tcp from 10.224.0.0/20"),
        ("CM0606", "aks-east and eks-tokyo both use node port 32379: aks-east answers its own agents itself"),
        ("CM0701", "2/3 agents of eks-tokyo are ready for aks-east: Waiting for initial connection"),
        ("CM0803", "service.cilium.io/affinity=locale in aks-east means nothing; it may be local, remote, none"),
    ],
)
def test_what_is_said(code: str, words: str) -> None:
    assert message(root(code)) == words


def test_short_ids_keep_their_telling_end_and_addresses_stay_whole() -> None:
    assert short_id("sg-0a1b2c3d4e5f6a79c") == "sg-0a1b…9c"
    assert short_id("10.224.0.0/12") == "10.224.0.0/12" and short_id("fd12:3456::/32") == "fd12:3456::/32"
    assert short_id("net/" + "x" * 60).endswith("x") and len(short_id("net/" + "x" * 60)) == 28
    assert message(root("CM0403"), short=True).startswith("sg-0000…1a has no rule for 8472/udp")


def test_missing_and_blocked_are_put_in_words() -> None:
    missing = Missing(FactKey("cilium.agents", OfCluster(A)), Reason.FORBIDDEN, "", "create pods/exec in kube-system")
    unknown = Finding("CM0701", OfCluster(A), State.UNKNOWN, Severity.ERROR, 7, missing=(missing,))
    assert message(unknown) == "cilium.agents of aks-east: forbidden (needs create pods/exec in kube-system)"
    blocked = Finding("CM0701", OfCluster(A), State.BLOCKED, Severity.ERROR, 7, blocked_by=(("CM0102", OfCluster(A)),))
    assert message(blocked) == "needs CM0102 first"
    broken = Finding("CM0701", OfCluster(A), State.ERROR, Severity.ERROR, 7, {"detail": "KeyError: x"})
    assert message(broken) == "the check itself failed: KeyError: x"


def test_arguments_are_formatted_by_type() -> None:
    assert fill("{n:node} {m:node} {flag} {names}{also:; also }{none:; also }", {
        "n": 1, "m": 1234, "flag": True, "names": ("a", "b"), "also": ("c",), "none": (),
    }) == "1 node 1,234 nodes yes a, b; also c"  # fmt: skip
    assert fill("{text}", {"text": "{other} [red]"}) == "{other} [red]"
    assert placeholders("{a} {b:node} {c:; x }") == {"a", "b", "c"}


def test_a_translation_uses_the_same_arguments() -> None:
    japanese = {
        "routing mode {left_mode} in {left}, {right_mode} in {right}": "{left}は{left_mode}、{right}は{right_mode}"
    }
    words = message(root("CM0306"), lambda text: japanese.get(text, text))
    assert words == "aks-eastはnative、eks-tokyoはtunnel"


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.code)
def test_every_code_has_a_page(check: Check) -> None:
    text = page(check)
    assert text.startswith(f"# {check.code}: {check.title}\n") and check.why in text
    assert all(f"`{name}`: {FACTS[name].doc}" in text for name in check.inputs)
    assert "{" not in text.split("## What helps")[0] and "## What helps" in text
    assert check.title[0].isupper() and not check.title.endswith(".") and check.why.endswith(".")
    assert check.docs and title(check.code) == check.title


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.code)
def test_what_is_explained_is_what_a_finding_shows(check: Check) -> None:
    """Every command of a real finding is one of the page's with its placeholders filled in."""
    told = [shlex.split(line) for remedy in REMEDIES[check.code] for line in remedy.lines]
    for command in (command for fix in root(check.code).fixes for command in fix.commands):
        assert any(_filled(words, command.argv) for words in told), shell(command.argv)


def _filled(words: list[str], argv: tuple[str, ...]) -> bool:
    """Whether the words with something for each placeholder are the command; ``<A B>`` is one word of it."""
    pattern = re.sub(r"<[^>]+>", "\0", " ".join(words))
    return re.fullmatch(re.escape(pattern).replace("\0", ".+"), " ".join(argv)) is not None


def test_no_remedy_prints_a_key() -> None:
    secrets = [line for code in REMEDIES for one in REMEDIES[code] for line in one.lines if "secret cilium-ca" in line]
    fixes = [shell(command.argv) for fix in root("CM0608").fixes for command in fix.commands]
    shown = [line for line in (*secrets, *fixes) if "get secret" in line]
    assert shown and all("ca.crt" in line or " | kubectl" in line for line in shown), shown


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.code)
def test_further_reading_is_an_address(check: Check) -> None:
    assert all(url.startswith("https://") for url in reading(check)) and len(reading(check)) == len(check.docs)


def test_no_page_and_no_remedy_is_left_over() -> None:
    assert set(PAGES) == {anchor for check in ALL_CHECKS for anchor in check.docs}
    assert set(REMEDIES) == {check.code for check in ALL_CHECKS}


def test_titles_are_unique() -> None:
    assert len({check.title for check in ALL_CHECKS}) == len(ALL_CHECKS)


def test_commands_are_quoted_for_a_shell() -> None:
    assert shell(("aws", "--x", "a=[{b c}]", "it's")) == "aws --x 'a=[{b c}]' 'it'\"'\"'s'"
