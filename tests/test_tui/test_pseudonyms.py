"""Pseudonyms: equal stays equal, inside stays inside, private stays private, names go."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from tui.present.pseudonym import Pseudonyms

ADDRESSES = st.integers(0, 2**32 - 1).map(IPv4Address)


def made(text: str, *names: tuple[str, str]) -> str:
    return Pseudonyms(b"key", names).apply(text)


@given(ADDRESSES, st.integers(8, 30), st.integers(0, 2**22))
@settings(max_examples=200, deadline=None)
def test_an_address_inside_a_network_stays_inside(address: IPv4Address, prefix: int, offset: int) -> None:
    network = IPv4Network((int(address) >> (32 - prefix) << (32 - prefix), prefix))
    inside = IPv4Address(int(network.network_address) + offset % network.num_addresses)
    mapper = Pseudonyms(b"key", ())
    told_net, told_address = mapper.apply(f"{network} {inside}").split(" ")
    assert IPv4Address(told_address) in IPv4Network(told_net)
    assert mapper.apply(str(inside)) == told_address


def test_private_stays_private_and_masks_stay() -> None:
    for text in ("10.224.0.0/12", "192.168.1.10", "172.16.5.4", "100.64.0.1"):
        told = made(text)
        assert IPv4Address(told.partition("/")[0]).is_private or told.startswith("100.")
        assert told.partition("/")[2] == text.partition("/")[2]


def test_names_accounts_and_ids_are_replaced_consistently() -> None:
    text = "eks-tokyo eks-tokyo-2 arn:aws:iam::123456789012:role sg-0a1b2c3d4e5f6a79c aks-east eks-tokyo"
    told = made(text, ("cluster", "eks-tokyo"), ("cluster", "eks-tokyo-2"), ("cluster", "aks-east"))
    for gone in ("eks-tokyo", "aks-east", "123456789012", "0a1b2c3d4e5f6a79c"):
        assert gone not in told
    words = told.split(" ")
    assert words[0] == words[-1] == "cluster-1" and words[1] == "cluster-2" and words[3].startswith("sg-")


def test_versions_and_numbers_are_left_alone() -> None:
    assert made("Cilium 1.19.5, 1500 bytes, v1.31.2, port 8472") == "Cilium 1.19.5, 1500 bytes, v1.31.2, port 8472"
