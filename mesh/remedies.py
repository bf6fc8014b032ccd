"""What lifts each code, told without a cluster: commands with ``<PLACEHOLDERS>`` for what only a cluster knows.

``check`` shows the same filled in; a test holds the two together.
"""

from typing import Final

from msgspec import Struct

from mesh.releases import CHART_REPOSITORY


class Remedy(Struct, frozen=True):
    """One way to lift a finding: what to do, and the lines that do it, words in angle brackets to be replaced."""

    text: str
    lines: tuple[str, ...] = ()


_VALUES: Final = (
    f"helm --kube-context <CONTEXT> -n kube-system upgrade cilium cilium --repo {CHART_REPOSITORY} --version <VERSION> "
    "--reset-then-reuse-values"
)
_KUBECTL: Final = "kubectl --context <CONTEXT> -n kube-system"
_RESTART: Final = f"{_KUBECTL} rollout restart deployment/clustermesh-apiserver daemonset/cilium"
_RENEW: Final = (
    f"{_KUBECTL} create job renew-mesh-certificates --from=cronjob/clustermesh-apiserver-generate-certs",
    f"{_KUBECTL} wait --for=condition=complete job/renew-mesh-certificates --timeout=3m",
)
_ANNOTATION: Final = r"--set-string 'clustermesh.apiserver.service.annotations.service\.beta\.kubernetes\.io/"


def _set(text: str, *pairs: str) -> Remedy:
    return Remedy(text, (" ".join((_VALUES, *(f"--set {pair}" for pair in pairs))),))


def _pool(text: str) -> Remedy:
    return _set(text, "'ipam.operator.clusterPoolIPv4PodCIDRList={<RANGE>}'")


def _open(what: str, protocol: str, port: str) -> tuple[Remedy, ...]:
    range_ = f'FromPort={port},ToPort={port},IpRanges=[{{CidrIp=<PEERS RANGE>,Description="<NOTE>"}}]'
    aws = "aws ec2 authorize-security-group-ingress --region <REGION> --group-id <GROUP> --ip-permissions"
    azure = (
        "az network nsg rule create --subscription <SUBSCRIPTION> -g <RESOURCE GROUP> --nsg-name <NSG> -n <NAME> "
        f"--priority <FREE> --direction Inbound --access Allow --protocol {protocol.capitalize()} "
        f"--source-address-prefixes <PEERS RANGE> --destination-address-prefixes <OWN RANGE> "
        f"--destination-port-ranges {port}"
    )
    return (
        Remedy(f"AWS: open {what} for the peers' nodes", (f"{aws} 'IpProtocol={protocol},{range_}'",)),
        Remedy(f"Azure: open {what} for the peers' nodes", (azure,)),
    )


REMEDIES: Final[dict[str, tuple[Remedy, ...]]] = {
    "CM0001": (
        Remedy("Look at the context, then have the cloud write it again.", (
            "kubectl config view --kubeconfig <FILE>",
            "aws eks update-kubeconfig --name <CLUSTER> --region <REGION>",
            "az aks get-credentials -g <RESOURCE GROUP> -n <CLUSTER>",
        )),
    ),
    "CM0002": (
        Remedy("Ask the API server by hand.", ("kubectl --context <CONTEXT> get --raw /version",)),
        Remedy("Sign in again.", ("aws sso login --profile <PROFILE>", "az login")),
    ),
    "CM0003": (Remedy("Choose one of the two contexts: they are the same cluster."),),
    "CM0101": (
        Remedy("See what is missing, with roles that grant it.", ("meshwright rights --for <check|apply>",)),
        Remedy("Grant one right to the user that the API server tells it sees.", (
            "kubectl --context <CONTEXT> auth whoami",
            "kubectl --context <CONTEXT> create role <ROLE> -n kube-system --verb=<VERB> --resource=<RESOURCE>",
            "kubectl --context <CONTEXT> create rolebinding <ROLE> -n kube-system --role=<ROLE> --user=<USER>",
        )),
    ),
    "CM0102": (
        Remedy("Ask one agent by hand.", (f"{_KUBECTL} exec <POD> -c cilium-agent -- cilium-dbg status",)),
        Remedy("Without the right to exec: have create pods/exec in kube-system granted.", (
            "meshwright rights --for check",
        )),
    ),
    "CM0103": (
        Remedy("See which account this machine is signed in to; it must be the cluster's.", (
            "aws sts get-caller-identity", "az account show",
        )),
    ),
    "CM0201": (
        Remedy("Look at the pods: reason, events, log.", (f"{_KUBECTL} get pods -l k8s-app=cilium -o wide",)),
        Remedy("Where Cilium is not there yet, a join installs it.", ("meshwright plan --context <A> --context <B>",)),
    ),
    "CM0202": (
        Remedy("Upgrade the older one, one minor at a time.", (
            _VALUES,
        )),
    ),
    "CM0204": (
        Remedy("Use the provider's own mesh, or clusters whose Cilium is not managed (on AKS: --network-plugin none)."),
    ),
    "CM0205": (
        Remedy("Find the release it belongs to; without one install it again as a Helm release.", (
            "helm --kube-context <CONTEXT> list -A --all",
        )),
    ),
    "CM0206": (
        Remedy("Go back to the revision that is deployed.", (
            "helm --kube-context <CONTEXT> -n kube-system rollback cilium <REVISION>",
        )),
    ),
    "CM0208": (
        Remedy("Park what Cilium replaces (a join does it).", (
            f"{_KUBECTL} patch daemonset <NAME> --type merge -p "
            '\'{"spec":{"template":{"spec":{"nodeSelector":{"meshwright.io/parked":"true"}}}}}\'',
        )),
        Remedy("On AKS an addon manager puts kube-proxy back: switch it off there (a preview feature).", (
            "sh -c 'echo \"{\\\"enabled\\\": false}\" > kube-proxy.json'",
            "az aks update -g <RESOURCE GROUP> -n <CLUSTER> --kube-proxy-config kube-proxy.json",
        )),
    ),
    "CM0301": (_set("Give it a name of its own, together with its id.", "cluster.name=<NAME>", "cluster.id=<ID>"),),
    "CM0302": (_set("Give one of them an id and a name of its own.", "cluster.name=<NAME>", "cluster.id=<ID>"),),
    "CM0303": (
        _set("Reinstall one side with the other's value.", "clustermesh.maxConnectedClusters=<255|511>"),
    ),
    "CM0306": (_set("Reinstall one side with the other's routing mode.", "routingMode=<tunnel|native>"),),
    "CM0307": (
        _set("Give one side the other's port.", "tunnelPort=<PORT>"),
        _set("Give one side the other's protocol.", "tunnelProtocol=<vxlan|geneve>"),
    ),
    "CM0310": (
        _set("Give one side the families of the other.", "ipv4.enabled=<true|false>", "ipv6.enabled=<true|false>"),
    ),
    "CM0320": (_pool("Reinstall one side with a free range: one in use cannot be changed live."),),
    "CM0321": (_pool("Reinstall with a range off every network: one in use cannot be changed live."),),
    "CM0322": (Remedy("Make the cluster again with a Service range of its own: it cannot be changed later."),),
    "CM0323": (Remedy("Move one cluster to a network of its own: equal ranges cannot be routed to each other."),),
    "CM0403": (
        *_open("the tunnel port", "udp", "<8472|TUNNEL PORT>"),
        Remedy("Azure, where the VPN gateway drops unknown ranges: let it know them.", (
            "az network local-gateway list -g <RESOURCE GROUP> -o table",
        )),
    ),
    "CM0404": _open("health", "tcp", "4240"),
    "CM0405": _open("the mesh API", "tcp", "<2379|NODE PORT>"),
    "CM0601": (
        Remedy("Look at the pods: a missing certificate Secret keeps them in ContainerCreating.", (
            f"{_KUBECTL} get pods -l k8s-app=clustermesh-apiserver -o wide",
        )),
        Remedy("Where it is not enabled yet (a join does it).", (
            "cilium clustermesh enable --context <CONTEXT> --service-type LoadBalancer",
        )),
    ),
    "CM0602": (
        Remedy("Look at the Service's events: the cloud's controller says there why it gives no address.", (
            f"{_KUBECTL} describe service clustermesh-apiserver",
        )),
        _set("Expose it by a load balancer.", "clustermesh.apiserver.service.type=LoadBalancer"),
    ),
    "CM0603": (
        Remedy("AWS: make the Service again, internal; then connect again.", (
            f"{_KUBECTL} delete service clustermesh-apiserver",
            f"{_VALUES} {_ANNOTATION}aws-load-balancer-type=nlb' {_ANNOTATION}aws-load-balancer-scheme=internal' "
            f"{_ANNOTATION}aws-load-balancer-internal=true'",
        )),
        Remedy("Azure: make the Service again, internal; then connect again.", (
            f"{_KUBECTL} delete service clustermesh-apiserver",
            f"{_VALUES} {_ANNOTATION}azure-load-balancer-internal=true'",
        )),
    ),
    "CM0606": (
        Remedy(
            "Give one of them another node port and connect its peers to it again; then open the port where CM0405 "
            "shows that rules lack it. Agents need up to 2 minutes to notice.", (
            f"{_VALUES} --set clustermesh.apiserver.service.nodePort=<PORT>",
            "cilium clustermesh connect --context <CONTEXT> --destination-context <PEER>",
        )),
    ),
    "CM0608": (
        Remedy("Trust both: write the two certificates into cas.pem, which both get as tls.caBundle.", (
            f"{_KUBECTL} get secret cilium-ca -o 'go-template={{{{index .data \"ca.crt\" | base64decode}}}}'",
            f"{_VALUES} --set tls.caBundle.enabled=true --set-file tls.caBundle.content=cas.pem",
            _RESTART,
        )),
        Remedy("Or give one the CA of the other, issue its certificates again, restart mesh API and agents.", (
            "sh -c \"kubectl --context <CONTEXT> -n kube-system get secret cilium-ca -o <DATA AS JSON> | "
            f"{_KUBECTL} patch secret cilium-ca --type merge --patch-file /dev/stdin\"",
            *_RENEW,
            _RESTART,
        )),
    ),
    "CM0610": (
        Remedy("Issue the certificates again, then restart what holds them.", (
            *_RENEW,
            _RESTART,
        )),
    ),
    "CM0701": (
        Remedy("Ask an agent: it names the step that fails (address, TCP, TLS, etcd).", (
            f"{_KUBECTL} exec <POD> -c cilium-agent -- cilium-dbg troubleshoot clustermesh",
        )),
        Remedy("Where they are not connected yet (a join does it).", (
            "cilium clustermesh connect --context <CONTEXT> --destination-context <CONTEXT>",
        )),
    ),
    "CM0801": (
        Remedy("Create the same Service on the other side: name, namespace, port names and annotation; its addresses "
               "and node ports are taken out first.", (
            "sh -c 'kubectl --context <CONTEXT> -n <NAMESPACE> get service <NAME> -o yaml > <NAMESPACE>-<NAME>.yaml'",
            "kubectl --context <CONTEXT> -n <NAMESPACE> apply -f <NAMESPACE>-<NAME>.yaml",
        )),
        Remedy("Where it is there and not global: mark it.", (
            "kubectl --context <CONTEXT> -n <NAMESPACE> annotate service <NAME> --overwrite "
            "service.cilium.io/global=true",
        )),
    ),
    "CM0803": (
        Remedy("Write a value that means something.", (
            "kubectl --context <CONTEXT> -n <NAMESPACE> annotate service <NAME> --overwrite <ANNOTATION>=<VALUE>",
        )),
    ),
}  # fmt: skip

_CILIUM: Final = "https://docs.cilium.io/en/v1.20"
_AZURE: Final = "https://learn.microsoft.com/azure"
_KUBERNETES: Final = "https://kubernetes.io/docs"
# Where the documentation that a check names lies; of Cilium's a version that keeps its addresses.
PAGES: Final[dict[str, str]] = {
    "aks/configure-kube-proxy": f"{_AZURE}/aks/configure-kube-proxy",
    "aws/load-balancer-controller": "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/nlb/",
    "azure/internal-lb": f"{_AZURE}/aks/internal-lb",
    "azure/use-byo-cni": f"{_AZURE}/aks/use-byo-cni",
    "cilium/cmdref/cilium-dbg_status": f"{_CILIUM}/cmdref/cilium-dbg_status/",
    "cilium/installation/k8s-install-helm": f"{_CILIUM}/installation/k8s-install-helm/",
    "cilium/network/clustermesh/services": f"{_CILIUM}/network/clustermesh/global-services/",
    "cilium/network/clustermesh/setup": f"{_CILIUM}/network/clustermesh/setup/",
    "cilium/network/concepts/ipam": f"{_CILIUM}/network/concepts/ipam/",
    "cilium/network/kubernetes/kubeproxy-free": f"{_CILIUM}/network/kubernetes/kubeproxy-free/",
    "cilium/operations/system_requirements": f"{_CILIUM}/operations/system_requirements/",
    "cilium/operations/troubleshooting": f"{_CILIUM}/operations/troubleshooting/",
    "cilium/operations/troubleshooting_clustermesh": f"{_CILIUM}/operations/troubleshooting_clustermesh/",
    "cilium/operations/upgrade": f"{_CILIUM}/operations/upgrade/",
    "cloud/network-security-groups": f"{_AZURE}/virtual-network/network-security-groups-overview",
    "cloud/overlapping-ranges": f"{_AZURE}/vpn-gateway/nat-overview",
    "cloud/permissions": "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html",
    "cloud/security-groups": "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html",
    "helm/rollback": "https://helm.sh/docs/helm/helm_rollback/",
    "kubernetes/client-go-credential-plugins": (
        f"{_KUBERNETES}/reference/access-authn-authz/authentication/#client-go-credential-plugins"
    ),
    "kubernetes/namespaces": f"{_KUBERNETES}/concepts/overview/working-with-objects/namespaces/",
    "kubernetes/organize-cluster-access-kubeconfig": (
        f"{_KUBERNETES}/concepts/configuration/organize-cluster-access-kubeconfig/"
    ),
    "kubernetes/rbac": f"{_KUBERNETES}/reference/access-authn-authz/rbac/",
}
