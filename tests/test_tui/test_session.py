"""Events change the snapshot and nothing else; the snapshot knows twins, ages and runs."""

from dataclasses import replace

from mesh import events as ev
from mesh.errors import MeshError
from mesh.facts import FactKey, Known, Origin, Source
from mesh.model.context import ContextList
from mesh.subject import OfCluster
from tests.test_tui import samples
from tests.test_tui.fakes import peek, ref
from tui.session import STALE_AFTER, Gathering, RunView, Session, announcement, on_events
from tui.starting import in_lab

KEY = FactKey("nodes", OfCluster("a"))


def test_facts_and_progress_are_taken_in_and_the_old_snapshot_stays() -> None:
    before = Session()
    after = on_events(
        before,
        [
            ev.FactArrived(KEY, Known((1,), Source(Origin.LIVE))),
            ev.CollectorProgress("a", "nodes", "reading", 1, 3),
            ev.GatherDone(5, 2, 1.0),
        ],
    )
    assert len(after.store) == 1 and len(before.store) == 0
    assert after.gathering.progress["a", "nodes"].done == 1 and after.gathering.unknown == 2


def test_a_run_follows_its_events() -> None:
    run = samples.run()
    assert run.number == 12 and run.of("s4").state == "running" and run.of("s4").waiting == "agents ready 209/212"
    assert run.armed and run.under_way
    failed = samples.run(failed=True)
    assert failed.state == "failed" and failed.armed and not failed.under_way
    assert failed.of("s4").finding is samples.RULE
    done = on_events(Session(run=run), [ev.RunDone(12, "done", 9.0)]).run
    assert done is not None and not done.armed


def test_the_second_context_of_a_cluster_is_a_twin_of_the_first_in_file_order() -> None:
    refs = (ref("one"), ref("two"), ref("three"))
    peeks = {"two": peek("two", cluster_uid="u"), "one": peek("one", cluster_uid="u"), "three": peek("three")}
    assert Session(contexts=ContextList(refs), peeks=peeks).twins == {"two": "one"}


def test_facts_age() -> None:
    gathering = Gathering("done", ("a",), ended=1000.0)
    session = Session(gathering=gathering, now=1012.0, chosen=("a",))
    assert session.age == 12.0 and not session.stale and not session.outdated
    assert replace(session, now=1001.0 + STALE_AFTER).stale
    assert replace(session, chosen=("a", "b")).outdated


def test_announcements_name_the_step_by_its_number() -> None:
    run = RunView(samples.PLAN)
    assert announcement(ev.StepDone("s4", "done", 0.0, 1.0), run) == "Step 4 is done."
    assert announcement(ev.StepDone("s4", "failed", 0.0, 1.0, "no space left"), run) == "Step 4 failed: no space left."
    assert announcement(ev.Announcement("hello"), None) == "hello"
    assert announcement(ev.CollectorProgress("a", "nodes", "done"), None) == ""


def test_a_lab_that_runs_by_itself_is_known_by_its_folder() -> None:
    lab = {"MESHWRIGHT_LAB_TOKEN_FILE": "/tmp/lab/control-token"}
    assert in_lab("", {**lab, "KUBECONFIG": "/tmp/lab/kubeconfig"}) and in_lab("/tmp/lab/kubeconfig", lab)
    assert not in_lab("", {**lab, "KUBECONFIG": "/tmp/lab/kubeconfig:/home/u/.kube/config"})
    assert not in_lab("/home/u/.kube/config", {**lab, "KUBECONFIG": "/tmp/lab/kubeconfig"})
    assert not in_lab("", lab) and not in_lab("", {"KUBECONFIG": "/tmp/lab/kubeconfig"})


def test_an_error_is_told_in_sentences() -> None:
    told = MeshError("still waiting for: agents ready 2/3", "the deadline of 120 s has passed", "Retry.").sentence()
    assert told == "still waiting for: agents ready 2/3; the deadline of 120 s has passed. Retry."
    assert MeshError("No lab", hint="Start one").sentence() == "No lab. Start one"
