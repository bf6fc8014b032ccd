"""Image references of the chart per version. Releases of the same minor share the proxy's and certgen's images here."""

from typing import Any, Final

from backends.lab.charts.version import ChartVersion

_ENVOY: Final = {
    15: (
        "v1.33.4-1752151664-7c2edb0b44cf95f326d628b837fcdd845102ba68",
        "sha256:318eff387835ca2717baab42a84f35a83a5f9e7d519253df87269f80b9ff0171",
    ),
    16: (
        "v1.30.8-1733837904-eaae5aca0fb988583e5617170a65ac5aa51c0aa8",
        "sha256:709c08ade3d17d52da4ca2af33f431360ec26268d288d9a6cd1d98acc9a1dced",
    ),
    17: (
        "v1.32.6-1746661844-0f602c28cb2aa57b29078195049fb257d5b5246c",
        "sha256:a04218c6879007d60d96339a441c448565b6f86650358652da27582e0efbf182",
    ),
    18: (
        "v1.34.10-1761014632-c360e8557eb41011dfb5210f8fb53fed6c0b3222",
        "sha256:ca76eb4e9812d114c7f43215a742c00b8bf41200992af0d21b5561d46156fd15",
    ),
    19: (
        "v1.36.8-1781157951-a7f42a3390781539911b5b9107881b35ecc4e752",
        "sha256:326f872e19ce8aa45170efbf583b3f301586ba3feead14b864676d4baf3b45ed",
    ),
    20: (
        "v1.37.6-1789133542-cbec91f666af0bf742da986d43832932dbb26b82",
        "sha256:af7382699576b9e65e9184efa52eeca0b58aea70ad6e511bf260c91d9f740463",
    ),
}

_CERTGEN: Final = {
    15: ("v0.1.19", "sha256:28511366bb5dc99b6ec424dc87399945714d57a586194658d9e2316ba3db4d04"),
    16: ("v0.2.0", "sha256:169d93fd8f2f9009db3b9d5ccd37c2b753d0989e1e7cd8fe79f9160c459eef4f"),
    17: ("v0.2.1", ""),
    18: ("v0.2.4", "sha256:de7b97b1d19a34b674d0c4bc1da4db999f04ae355923a9a994ac3a81e1a1b5ff"),
    19: ("v0.4.5", "sha256:f107522ed4dcea62f918b8eb836142875a9b3e3cb2b2d728dc680f76cdbde6cf"),
    20: ("v0.4.11", "sha256:14d29a176fc96d15b154559ce1a5baf01367c10baabfa7bb8028b72f087a56f0"),
}

_PUBLISHED: Final[dict[ChartVersion, dict[str, str]]] = {
    ChartVersion(16, 5): {
        "image": "sha256:758ca0793f5995bb938a2fa219dcce63dc0b3fa7fc4ce5cc851125281fb7361d",
        "operator.image": "sha256:f7884848483bbcd7b1e0ccfd34ba4546f258b460cb4b7e2f06a1bcc96ef88039",
    },
    ChartVersion(17, 4): {
        "image": "sha256:24a73fe795351cf3279ac8e84918633000b52a9654ff73a6b0d7223bcff4a67a",
        "operator.image": "sha256:a3906412f477b09904f46aac1bed28eb522bef7899ed7dd81c15f78b7aa1b9b5",
        "clustermesh.apiserver.image": "sha256:0b72f3046cf36ff9b113d53cc61185e893edb5fe728a2c9e561c1083f806453d",
    },
    ChartVersion(19, 5): {
        "image": "sha256:20fbbc14ac20b55a292c0dcda5571bf31cde30a7dbc68c29db3e709390ab0732",
        "operator.image": "sha256:be848a365776e07d0c5a895eda7aec928ddc52a5a1fa2f432fd7a286609e1db4",
        "clustermesh.apiserver.image": "sha256:5ed9334b2254315740f9e2a8b6645bf69920f79ef14f436931579d2038784f9b",
    },
}
"""Digests that published charts carry; the charts in the source tree name a tag alone."""

_RELEASED_TOGETHER: Final = {
    "image": "cilium",
    "operator.image": "operator",
    "clustermesh.apiserver.image": "clustermesh-apiserver",
    "hubble.relay.image": "hubble-relay",
}


def images(version: ChartVersion) -> dict[str, Any]:
    """The ``…image.*`` defaults by dotted path."""
    found: dict[str, Any] = {}
    digests = _PUBLISHED.get(version, {})
    for path, name in _RELEASED_TOGETHER.items():
        _put(found, path, name, f"v{version}", digests.get(path, ""))
    found["operator.image.suffix"] = ""
    found["operator.image.genericDigest"] = found.pop("operator.image.digest")
    _put(found, "envoy.image", "cilium-envoy", *_ENVOY[version.minor])
    _put(found, "certgen.image", "certgen", *_CERTGEN[version.minor])
    return found


def _put(found: dict[str, Any], path: str, name: str, tag: str, digest: str) -> None:
    found[f"{path}.override"] = None
    found[f"{path}.repository"] = f"quay.io/cilium/{name}"
    found[f"{path}.tag"] = tag
    found[f"{path}.digest"] = digest
    found[f"{path}.useDigest"] = bool(digest)
    found[f"{path}.pullPolicy"] = "IfNotPresent"
