"""Parts of one answer: each comes, or says by itself why it does not."""

import threading

import pytest

from backends.bundle import RecordedCloud
from backends.parts import Part, together
from mesh.facts import Reason
from mesh.model.unread import Unread
from mesh.reading import NotRead


def refused() -> None:
    raise NotRead(Reason.FORBIDDEN, "no", right="ec2:DescribeVpnGateways", code="UnauthorizedOperation")


def signed_out() -> None:
    raise NotRead(Reason.EXPIRED, "no credentials", "aws sso login")


def malformed() -> object:
    row: dict[str, str] = {}
    return row["VpcId"]


def test_a_part_that_hangs_is_unread_and_the_others_are_there() -> None:
    release = threading.Event()
    try:
        found = together(
            {
                "hangs": Part("ec2:DescribeNetworkAcls", "DescribeNetworkAcls of vpc-1", lambda: release.wait(60)),
                "comes": Part("ec2:DescribeVpcs", "DescribeVpcs of vpc-1", lambda: ("vpc-1",)),
            },
            2.0,
        )
    finally:
        release.set()
    assert found["comes"] == ("vpc-1",)
    lost = found["hangs"]
    assert isinstance(lost, Unread) and "2 s" in lost.why
    assert (lost.right, lost.call) == ("ec2:DescribeNetworkAcls", "DescribeNetworkAcls of vpc-1")


def test_nothing_is_waited_for_when_the_time_is_over() -> None:
    release = threading.Event()
    found = together({"late": Part("r", "c", lambda: release.wait(60))}, -1.0)
    release.set()
    assert isinstance(found["late"], Unread)


def test_a_part_names_the_right_of_the_call_that_failed() -> None:
    found = together(
        {
            "vpns": Part("ec2:DescribeVpnConnections", "DescribeVpnConnections of vpc-1", refused),
            "login": Part("ec2:DescribeVpcs", "DescribeVpcs of vpc-1", signed_out),
            "odd": Part("ec2:DescribeSubnets", "DescribeSubnets of vpc-1", malformed),
        },
        20.0,
    )
    assert found["vpns"] == Unread(
        "ec2:DescribeVpnGateways", "for DescribeVpnConnections of vpc-1", "UnauthorizedOperation"
    )
    assert found["login"] == Unread("ec2:DescribeVpcs", "DescribeVpcs of vpc-1", "login ended")
    assert found["odd"].right == "ec2:DescribeSubnets" and "VpcId" in found["odd"].why


def test_a_recording_has_no_paths() -> None:
    with pytest.raises(NotRead) as refused_:
        RecordedCloud().paths(1.0)
    assert refused_.value.unknown.reason is Reason.NOT_COLLECTED
