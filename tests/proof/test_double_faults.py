"""Two faults of the lab at a time: what was broken later is never called good, and nothing breaks."""

import itertools
import time

import pytest

from backends.lab.control import ControlRefused
from tests.proof.figures import told
from tests.test_walk.test_faults import SHOWN
from tests.test_walk.walking import Lab, lab

pytestmark = pytest.mark.timeout(7200)
LATER = 300.0
SECONDS = 60.0


def called_good(running: Lab, fault: str) -> list[str]:
    """Roots of a fault that ``check`` calls good now."""
    done = running.check()
    told = {(one["code"], one["subject_text"]): one["state"] for one in done.report["findings"]}
    assert "ERROR" not in told.values() and done.code in (0, 1, 3), done.out
    return [f"{code} {subject}" for code, subject in SHOWN[fault].roots if told.get((code, subject)) in ("PASS", "N/A")]


def inject(running: Lab, fault: str) -> None:
    running.tell(lambda control: control.inject(fault))


def clear(running: Lab, fault: str) -> None:
    running.tell(lambda control: control.clear(fault))


def stays_good(running: Lab, fault: str) -> list[str]:
    """Roots of the fault that are still called good after ``SECONDS``; none as soon as there is none."""
    end = time.monotonic() + SECONDS
    while (good := called_good(running, fault)) and time.monotonic() < end:
        time.sleep(0.5)
    return good


def test_pairs_of_faults() -> None:
    names = sorted(SHOWN)
    told_as = "A fault is not called good because another was there before"
    with told(told_as) as figures, lab("healthy", speed=50) as one:
        beside, offences = 0, list[str]()
        for first, second in itertools.permutations(names, 2):
            inject(one, first)
            try:
                inject(one, second)
            except ControlRefused:
                # What it would break is not there any more: no address to make public, no leaf to let expire.
                clear(one, first)
                one.tell(lambda control: control.jump(LATER))
                continue
            beside += 1
            one.tell(lambda control: control.jump(LATER))
            # Only the later one is judged: it may have mended the earlier, as an upgrade brings back an image.
            if good := stays_good(one, second):
                offences.append(f"{second} beside {first}: {', '.join(good)} called good")
            clear(one, second)
            clear(one, first)
            one.tell(lambda control: control.jump(LATER))
        assert not offences, "\n".join(offences)
        assert beside > 20 * len(names)
        figures += [f"{beside} ordered pairs of {len(names)} faults"]
