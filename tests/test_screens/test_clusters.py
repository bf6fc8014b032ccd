"""Clusters: choosing, access states, twins, files that cannot be used, and what is said."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from mesh import catalogue as fact
from mesh.errors import UsageError
from mesh.model.context import Access, ContextList, Provider
from mesh.model.network import CloudIdentity
from tests.test_screens.stage import compare, staged
from tests.test_tui.fakes import FakeContexts, FakePorts, known, peek, ref, two_clusters
from tests.test_tui.worlds import chosen, many


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_every_access_state_is_told_by_sign_and_word(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(many(tmp_path), size) as stage:
        await stage.press("r")
        text = stage.text()
        for words in ("✓ ready", "? expired", "▲ partial", "✗ unreach.", "⊘ same", "⊘ managed", "✗ line 14"):
            assert words in text
        assert "2 chosen" in text
        stage.app.tell("")
        compare(stage, "clusters-many")


async def test_a_broken_file_has_one_cursor_and_no_fold(tmp_path: Path) -> None:
    async with staged(many(tmp_path)) as stage:
        await stage.press("end")
        row = next(row for row in stage.text().split("\n") if "✗ line 14" in row)
        assert row.startswith("▸") and row.count("▸") == 1


async def test_where_a_cluster_is_comes_from_the_file_and_then_from_its_cloud(tmp_path: Path) -> None:
    ports = two_clusters(tmp_path)
    refs = (ref("eks-tokyo"), replace(ref("aks-east", Provider.AKS, region=""), group="rg-mesh"))
    ports.contexts.listed = ContextList(refs)
    told = CloudIdentity(Provider.AKS, "0b1f-77d0", "japaneast", "aks-east", "rg-mesh")
    ports.gatherer.facts.append(known(fact.CLOUD, "aks-east", told))
    async with staged(ports) as stage:
        assert "rg-mesh" in next(row for row in stage.text().split("\n") if "□ aks-east" in row)
        await stage.press("space", "down", "space", "enter", "1")
        assert "japaneast      …77d0" in next(row for row in stage.text().split("\n") if "■ aks-east" in row)


async def test_space_chooses_and_enter_reads(tmp_path: Path) -> None:
    async with staged(two_clusters(tmp_path)) as stage:
        assert "0 chosen" in stage.text()
        await stage.press("space", "down", "space")
        assert "2 chosen" in stage.line(3) and "2 clusters chosen." in stage.line(23)
        await stage.press("enter")
        assert stage.app.place == "facts" and "Facts complete" in stage.text()
        assert stage.app.ports.store.get("chosen") == [
            "eks-tokyo@/home/u/.kube/config",
            "aks-east@/home/u/clouds/azure.yaml",
        ]


async def test_a_second_context_of_one_cluster_cannot_be_chosen(tmp_path: Path) -> None:
    refs = (ref("admin (1)", context="admin"), ref("admin (2)", context="admin", file="/b"))
    peeks = {item.key: peek(item.key, cluster_uid="41c0aaaa-e2") for item in refs}
    ports = FakePorts(tmp_path, FakeContexts(refs, peeks))
    ports.store.put("chosen", ["admin@/home/u/.kube/config", "admin@/b"])
    async with staged(ports) as stage:
        assert "1 chosen" in stage.text() and "⊘ same" in stage.text()
        await stage.press("down", "space")
        assert "admin (2) is admin (1): same kube-system UID" in stage.line(23)
        assert "1 chosen" in stage.text()
        await stage.press("enter")
        assert "a mesh needs two; ⏎ again inspects one" in stage.line(23) and stage.app.place == "clusters"
        await stage.press("enter")
        assert stage.app.place == "facts"


async def test_an_ended_login_is_shown_and_renewed(tmp_path: Path) -> None:
    ports = two_clusters(tmp_path)
    command = ("aws", "sso", "login", "--profile", "lab")
    expired = peek("eks-tokyo", Access.EXPIRED, version="", cluster_uid="", login=command)
    ports.contexts.peeks["eks-tokyo"] = expired
    ports.store.put("chosen", ["eks-tokyo@/home/u/.kube/config"])
    async with staged(ports) as stage:
        assert "? expired" in stage.text() and "aws sso login --profile lab" in stage.text()
        await stage.press("i")
        text = stage.text()
        assert "The login of eks-tokyo has ended" in text
        assert all(word in text for word in ("Run here", "Copy", "Cancel", "aws sso login --profile lab"))
        await stage.press("enter")
        await stage.until("eks-tokyo is ready")
        assert ports.contexts.signed_in == ["eks-tokyo"] and "✓ ready" in stage.text()


async def test_a_good_login_is_not_said_to_have_ended(tmp_path: Path) -> None:
    ports = chosen(two_clusters(tmp_path))
    ports.contexts.peeks["eks-tokyo"] = peek("eks-tokyo", login=("aws", "sso", "login"))
    async with staged(ports) as stage:
        await stage.press("i")
        assert "eks-tokyo is signed in" in stage.text() and "has ended" not in stage.text()


async def test_without_any_kubeconfig_it_says_where_it_looked(tmp_path: Path) -> None:
    async with staged(FakePorts(tmp_path, FakeContexts(searched=("/etc/nothing",)))) as stage:
        assert "No kubeconfig was found." in stage.text() and "/etc/nothing" in stage.text()
        assert "meshwright demo" in stage.text()
        await stage.press("space", "enter", "i", "c")
        assert stage.app.place == "clusters"
        compare(stage, "clusters-none")


async def test_a_designed_error_is_announced_with_its_next_step(tmp_path: Path) -> None:
    ports = two_clusters(tmp_path)
    ports.contexts.list_error = UsageError("KUBECONFIG names a folder", hint="Name files.")
    async with staged(ports) as stage:
        assert "KUBECONFIG names a folder. Name files." in stage.line(23)


async def test_find_filters_and_escape_clears(tmp_path: Path) -> None:
    async with staged(many(tmp_path)) as stage:
        await stage.press("slash", *"osaka", "enter")
        assert "eks-osaka" in stage.text() and "kind-a" not in stage.text() and "/osaka" in stage.line(3)
        await stage.press("escape")
        assert "kind-a" in stage.text()


async def test_copy_says_what_and_how_much(tmp_path: Path) -> None:
    async with staged(many(tmp_path)) as stage:
        await stage.press("c")
        assert stage.app.clipboard == "--cluster eks-tokyo=eks-tokyo@/home/u/.kube/config"
        assert f"copied {len(stage.app.clipboard)} characters: the --cluster argument" in stage.line(23)
