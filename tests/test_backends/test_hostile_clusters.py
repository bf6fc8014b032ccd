"""Clusters whose every text is hostile: facts stay clean, readers stay whole, whatever field it hides in."""

import base64
import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from backends.bundle import open_bundle
from backends.cilium.answers import BadAnswer, agent_health, agent_status
from backends.gather import ClusterGatherer
from backends.kubeconfig.listing import unique_keys
from mesh.events import CollectorProgress, Event, FactArrived
from mesh.facts import FactStore, Known
from mesh.snapshot import dump
from mesh.text import clean_value
from tests.test_backends.recorded import RECORDINGS, MachineClock, collectors

PAYLOADS = (
    "\x1b[2J\x1b[31m", "\x1b]52;c;ZXZpbA==\x07", "\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\", "\x9b2J", "\x90q\x9c",
    "\r\n\x08\x08", "\u202eevil\u202c", "\u2066x\u2069", "\u2028", "\x00", "\x7f", "[/]", "[@click=app.quit]x",
    "'; rm -rf / #", "$(id)", "=cmd|' /C calc'!A0", "</svg><script>", "\ufeff", "日本語", "👩‍👩‍👧‍👦", "x" * 5000, "",
)  # fmt: skip
DANGEROUS = tuple("\x1b\x9b\x90\x9c\x07\x08\x00\x7f\u202e\u202c\u2066\u2069\u2028\ufeff")


def leaves(item: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all strings below ``item``."""
    pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    found = [leaf for key, value in pairs for leaf in leaves(value, (*path, key))]
    return [*found, path] if isinstance(item, str) else found


def words(item: Any) -> list[str]:
    """Every string and every key below ``item``."""
    if isinstance(item, dict):
        return [*item, *(word for value in item.values() for word in words(value))]
    if isinstance(item, list):
        return [word for value in item for word in words(value)]
    return [item] if isinstance(item, str) else []


def put(item: Any, path: tuple[Any, ...], value: str) -> None:
    for key in path[:-1]:
        item = item[key]
    item[path[-1]] = value


async def gathered(folder: Path) -> tuple[FactStore, list[Event]]:
    bundle = open_bundle([str(folder)], unique_keys)
    events: list[Event] = []
    gatherer = ClusterGatherer(collectors(), bundle.recordings.__getitem__, MachineClock())
    return await gatherer.gather(list(bundle.recordings), events.append), events


@pytest.mark.parametrize("seed", range(24))
async def test_a_recording_full_of_hostile_text(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    document = json.loads((RECORDINGS / "connected-1.19.5" / "eks.json").read_text())
    paths = leaves(document["resources"])
    for path in rng.sample(paths, len(paths) // 12):
        put(document["resources"], path, rng.choice(PAYLOADS) + rng.choice(PAYLOADS))
    hide(document, rng)
    (tmp_path / "x.json").write_text(json.dumps(document))
    store, events = await gathered(tmp_path)
    text = dump(store, store.clusters()).decode()
    assert not [word for word in words(json.loads(text)) if any(mark in word for mark in DANGEROUS)]
    for event in events:
        if isinstance(event, CollectorProgress):
            assert (event.text + event.detail + event.lift).isprintable()
        elif isinstance(event, FactArrived) and isinstance(event.fact, Known):
            assert clean_value(event.fact.value) == event.fact.value
    assert len([event for event in events if isinstance(event, FactArrived)]) == len(store)
    assert "internal error" not in text


def hide(document: dict[str, Any], rng: random.Random) -> None:
    """Put hostile text where it is wrapped: in a peer's entry and in a release."""
    evil = rng.choice(PAYLOADS)
    for secret in document["resources"]["v1/secrets"]:
        name = secret["metadata"].get("name", "")
        if name == "cilium-kvstoremesh" and isinstance(secret.get("data"), dict):
            entry = f"endpoints:\n- https://{evil}.mesh.cilium.io:2379\ntrusted-ca-file: {evil}\n"
            secret["data"][f"peer{evil}"] = base64.b64encode(entry.encode()).decode()
        if "helmRelease" in secret and isinstance(secret["helmRelease"].get("config"), dict):
            secret["helmRelease"]["config"][f"key{evil}"] = {"value": [evil, {evil: evil}]}


@pytest.mark.parametrize("seed", range(8))
def test_agents_that_answer_hostile_text(seed: int) -> None:
    rng = random.Random(seed)
    for name, read in (
        ("status.json", lambda out: agent_status(out, "n", "p")),
        ("health.json", lambda out: agent_health(out, "n")),
    ):
        original = json.loads((RECORDINGS / "agents/1.20.2/8472-dropped" / name).read_text())
        for _ in range(20):
            document = copy.deepcopy(original)
            for path in rng.sample(leaves(document), 12):
                put(document, path, rng.choice(PAYLOADS))
            try:
                found = clean_value(read(json.dumps(document).encode()))
            except BadAnswer:
                continue
            assert not [mark for mark in DANGEROUS if mark in repr(found)]
