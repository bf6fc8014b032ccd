"""The custom resources that the Cilium operator registers, as their CRDs describe them."""

from dataclasses import dataclass
from typing import Final

from backends.lab.objects import Object

GROUP: Final = "cilium.io"


@dataclass(frozen=True, slots=True)
class Kind:
    """One CRD: names, scope, versions (the stored one first) and the first minor of Cilium that has it."""

    plural: str
    kind: str
    short: tuple[str, ...]
    namespaced: bool = False
    versions: tuple[str, ...] = ("v2",)
    status: bool = False
    since: int = 15


KINDS: Final = (
    Kind("ciliumnodes", "CiliumNode", ("cn", "ciliumn"), status=True),
    Kind("ciliumendpoints", "CiliumEndpoint", ("cep", "ciliumep"), namespaced=True, status=True),
    Kind("ciliumidentities", "CiliumIdentity", ("ciliumid",)),
    Kind("ciliumnetworkpolicies", "CiliumNetworkPolicy", ("cnp", "ciliumnp"), namespaced=True, status=True),
    Kind("ciliumclusterwidenetworkpolicies", "CiliumClusterwideNetworkPolicy", ("ccnp",), status=True),
    Kind("ciliumcidrgroups", "CiliumCIDRGroup", ("ccg",), versions=("v2alpha1",)),
    Kind(
        "ciliumloadbalancerippools",
        "CiliumLoadBalancerIPPool",
        ("ippools", "lbippool"),
        versions=("v2alpha1",),
        status=True,
    ),
    Kind(
        "ciliuml2announcementpolicies",
        "CiliumL2AnnouncementPolicy",
        ("l2announcement",),
        versions=("v2alpha1",),
        status=True,
    ),
    Kind("ciliumpodippools", "CiliumPodIPPool", ("cpip",), versions=("v2alpha1",)),
    Kind("ciliumexternalworkloads", "CiliumExternalWorkload", ("cew",), status=True),
    Kind("ciliumnodeconfigs", "CiliumNodeConfig", (), namespaced=True, versions=("v2", "v2alpha1"), since=16),
)


def definition(kind: Kind, home: str) -> Object:
    """The CustomResourceDefinition, with an open schema."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = []
    for number, name in enumerate(kind.versions):
        version: Object = {"name": name, "served": True, "storage": number == 0, "schema": schema}
        if kind.status:
            version["subresources"] = {"status": {}}
        versions.append(version)
    return {
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            "labels": {"io.cilium.k8s.crd.schema.version": home},
        },
        "spec": {
            "group": GROUP,
            "names": {
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "shortNames": list(kind.short),
                "categories": ["cilium"],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": versions,
        },
    }
