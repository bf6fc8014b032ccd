"""Facts out and in again: equal stores, equal bytes, damaged documents refused."""

import json
import random

import pytest

from mesh import catalogue as fact
from mesh.engine import evaluate
from mesh.errors import UsageError
from mesh.facts import FactStore, Reason
from mesh.snapshot import dump, load
from tests.test_mesh.worlds import SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_is_read(shape: str) -> None:
    world = SHAPES[shape]()
    world.facts |= {key: fact for key, fact in world.judged().items() if key.name != "now"}
    data = dump(world.store(), world.clusters)
    store, clusters = load(data)
    assert store == world.store() and clusters == world.clusters
    assert dump(store, clusters) == data
    assert evaluate(store, clusters) == evaluate(world.store(), world.clusters)


def test_unknown_facts_keep_their_reason() -> None:
    world = SHAPES["connected"]()
    world.lose(fact.AGENTS, "aks-east", Reason.FORBIDDEN, "create pods/exec")
    store, _ = load(dump(world.store(), world.clusters))
    assert store == world.store()


def test_the_order_of_facts_changes_no_byte() -> None:
    world = SHAPES["three"]()
    items = list(world.store().items())
    wanted = dump(FactStore(dict(items)), world.clusters)
    for seed in range(10):
        random.Random(seed).shuffle(items)
        assert dump(FactStore(dict(items)), world.clusters) == wanted


def broken(**change: object) -> bytes:
    world = SHAPES["connected"]()
    document = json.loads(dump(world.store(), world.clusters))
    return json.dumps(document | change).encode()


CART = {"namespace": "shop", "name": "cart", "ready_endpoints": 2, "total_endpoints": 0}
ROW = {"name": "version", "subject": {"type": "cluster", "cluster": "a"}, "source": {"origin": "live"}}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no snapshot"),
        (b"{}", "no snapshot"),
        (b"[1]", "no snapshot"),
        (b'{"apiVersion": "v1"', "no snapshot"),
        (b"\xff\xfe", "no snapshot"),
        (broken(kind="Report"), "this version"),
        (broken(apiVersion="meshwright/v9"), "this version"),
        (broken(facts=[ROW]), "damaged"),
        (broken(facts=[ROW | {"value": {"git_version": 7}}]), "damaged"),
        (broken(facts=[ROW | {"subject": {"type": "galaxy"}}]), "no snapshot"),
        (broken(facts=[ROW | {"name": "services", "value": [CART]}]), "damaged"),
    ],
)
def test_damaged_documents_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(data)


def test_facts_of_a_newer_version_are_left_out() -> None:
    store, _ = load(broken(facts=[ROW | {"name": "weather", "value": 1}]))
    assert len(store) == 0
