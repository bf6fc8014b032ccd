"""Path MTU: AWS's table, the arithmetic of the reference, and what is not known (§4.7)."""

import pytest

from mesh.reach.mtu import Overhead, Segment, ipsec_segment, path_mtu, segments_of
from tests.test_mesh.sites import aks, eks, peered_vpcs, tgw_vpcs, verdict

NODES: dict[str, int | None] = {"eks-tokyo": 9001, "aks-east": 1500}

TABLE = [
    ("AES-GCM-16", False, 1446),
    ("AES-GCM-16", True, 1438),
    ("AES-CBC-SHA1", False, 1438),
    ("AES-CBC-SHA2-256", True, 1422),
    ("AES-CBC-SHA2-384", False, 1422),
    ("AES-CBC-SHA2-384", True, 1422),
    ("AES-CBC-SHA2-512", False, 1422),
    ("AES-CBC-SHA2-512", True, 1406),
]


@pytest.mark.parametrize(("algorithm", "nat", "size"), TABLE)
def test_the_tunnel_carries_what_its_cipher_leaves(algorithm: str, nat: bool, size: int) -> None:
    made = path_mtu(NODES, [ipsec_segment("vpn", algorithm, nat)])
    assert (made.path, made.sure) == (size, True)
    assert (made.set, made.pod, made.mss) == (1400, 1350, 1310)
    assert made.too_large == ("eks-tokyo", "aks-east")


@pytest.mark.parametrize(
    ("base", "pod", "mss", "fits"),
    [(9001, 8951, 8911, False), (1500, 1450, 1410, False), (1446, 1396, 1356, True), (1400, 1350, 1310, True)],
)
def test_the_table_of_base_values(base: int, pod: int, mss: int, fits: bool) -> None:
    made = path_mtu(NODES, [ipsec_segment("vpn", "AES-GCM-16", False)], in_force={"eks-tokyo": base})
    assert (made.too_large == ()) is fits
    alone = path_mtu({"one": base}, [])
    assert alone.path == base
    if base >= 1500:
        assert (alone.set, alone.pod, alone.mss) == (base, pod, mss)


def test_what_was_negotiated_and_is_not_read_is_assumed_to_be_the_least() -> None:
    made = path_mtu(NODES, [ipsec_segment("vpn")])
    assert (made.path, made.sure, made.set) == (1406, False, 1400)
    assert any("assumed" in line for line in made.lines)


def test_what_a_probe_measured_wins_and_the_difference_is_shown() -> None:
    made = path_mtu(NODES, [ipsec_segment("vpn", "AES-GCM-16", False)], measured=1300)
    assert (made.path, made.sure, made.set, made.pod) == (1300, True, 1300, 1250)
    assert "path = 1300 as measured, 146 less than the 1446 of vpn" in made.lines


def test_the_arithmetic_is_shown_line_by_line() -> None:
    made = path_mtu(NODES, [ipsec_segment("vpn-0e31", "AES-CBC-SHA2-256", True)])
    assert made.lines == (
        "nodes of eks-tokyo: 9001 (device)",
        "nodes of aks-east: 1500 (device)",
        "vpn-0e31: 1422 (AES-CBC-SHA2-256, NAT-T on)",
        "path = min of these = 1422",
        "eks-tokyo: packets up to 9001 > 1422: too large by 7579",
        "aks-east: packets up to 1500 > 1422: too large by 78",
        "set MTU = 1400 on both sides (fits whatever the VPN negotiates)",
        "pods: 1400 − 20 IPv4 − 8 UDP − 8 VXLAN − 14 inner Ethernet = 1350; TCP segment 1310",
    )


def test_wireguard_takes_eighty_more() -> None:
    made = path_mtu(NODES, [ipsec_segment("vpn")], Overhead(wireguard=True))
    assert made.pod == 1400 - 130


def test_native_routing_takes_nothing() -> None:
    made = path_mtu({"a": 9001, "b": 9001}, [], Overhead(tunnel=""))
    assert (made.set, made.pod) == (9001, 9001)


def test_a_size_that_was_not_read_is_never_taken_to_fit() -> None:
    made = path_mtu({"eks-tokyo": None, "aks-east": 1500}, [Segment("vpn", 1446)])
    assert made.path == 1446
    assert not made.sure
    assert made.unknown == ("eks-tokyo",)
    assert path_mtu({"eks-tokyo": None}, []).path is None


def test_a_path_too_small_for_the_tunnel_gives_nothing_to_set() -> None:
    made = path_mtu(NODES, [Segment("radio", 500)])
    assert (made.path, made.set, made.pod) == (500, None, None)


def test_the_hops_of_a_way_give_its_segments() -> None:
    assert [item.mtu for item in segments_of(verdict(eks(), aks()).way, "AES-GCM-16", False)] == [1446]
    assert [item.mtu for item in segments_of(verdict(*tgw_vpcs()).way)] == [8500]
    assert segments_of(verdict(*peered_vpcs()).way) == ()
