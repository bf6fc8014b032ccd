"""The engine's laws, for many more worlds and orders than the fast tests take."""

import random

import pytest

from mesh.engine import evaluate
from mesh.facts import FactStore, Reason, Unknown
from tests.proof.figures import told
from tests.test_mesh.faults import FAULTS
from tests.test_mesh.test_laws import document, offences, states, worlds
from tests.test_mesh.worlds import SHAPES

pytestmark = pytest.mark.timeout(3600)
WITHDRAWALS = 200_000
ORDERS = 500


def test_withdrawals() -> None:
    with told("Facts withdrawn at random turn no finding green and none red") as figures:
        dice = random.Random(2026)
        found = [(world, world.store(), list(world.store().items())) for world in worlds()]
        begun = [states(store, world) for world, store, _ in found]
        for number in range(WITHDRAWALS):
            place = number % len(found)
            world, store, items = found[place]
            picked = dice.sample(items, dice.randint(1, len(items)))
            lost = [(key, Unknown(dice.choice(list(Reason)))) for key, _ in picked]
            bad = list(offences(begun[place], states(store.put(lost), world)))
            assert not bad, (number, bad, [str(key) for key, _ in lost])
        figures += [f"{WITHDRAWALS:,} withdrawals", f"{len(found)} worlds", "0 offences"]


def test_orders() -> None:
    with told("The order of facts and clusters changes no byte") as figures:
        dice = random.Random(2026)
        found = [*(make() for make in SHAPES.values()), *(case.world() for case in FAULTS.values())]
        for world in found:
            facts = list(world.judged().items())
            wanted = document(evaluate(FactStore(dict(facts)), world.clusters))
            for _ in range(ORDERS):
                dice.shuffle(facts)
                clusters = dice.sample(world.clusters, len(world.clusters))
                assert document(evaluate(FactStore(dict(facts)), clusters)) == wanted
        figures += [f"{ORDERS * len(found):,} orders", f"{len(found)} worlds"]
