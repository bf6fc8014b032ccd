"""What Cilium's arrival does to a cluster: nodes, ranges, certificates, addresses, volumes; and AKS's addon manager."""

import base64
import ipaddress

from cryptography import x509

from backends.lab.controllers import reading
from backends.lab.controllers.cilium.kinds import GROUP
from backends.lab.objects import Object
from backends.lab.storage.resources import CONFIGMAPS, CRDS, DAEMONSETS, DEPLOYMENTS, EVENTS, NODES, PODS, SECRETS
from tests.test_lab.meadow import Meadow, install, meadow, values


def fresh(provider_daemon: str = "") -> Meadow:
    made = meadow(nodes=2, names=("east",))
    if provider_daemon:
        store = made.cluster("east").objects
        template = {
            "metadata": {"labels": {"k8s-app": provider_daemon}},
            "spec": {
                "hostNetwork": True,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": provider_daemon, "image": f"x/{provider_daemon}:v1"}],
            },
        }
        spec = {"selector": {"matchLabels": {"k8s-app": provider_daemon}}, "template": template}
        store.create(DAEMONSETS, {"metadata": {"name": provider_daemon, "namespace": "kube-system"}, "spec": spec})
    made.settle(40)
    return made


def certificate(one: Meadow, name: str) -> x509.Certificate:
    secret = one.cluster("east").objects.need(SECRETS, "kube-system", name)
    key = "ca.crt" if name == "cilium-ca" else "tls.crt"
    return x509.load_pem_x509_certificate(base64.b64decode(secret["data"][key]))


def cilium_nodes(one: Meadow) -> list[Object]:
    store = one.cluster("east").objects
    return store.list(store.resources[GROUP, "ciliumnodes"])


def test_nodes_without_a_cni_are_not_ready_and_pods_wait() -> None:
    one = fresh()
    store = one.cluster("east").objects
    for node in store.view(NODES):
        ready = reading.condition(node, "Ready")
        assert ready is not None and ready["status"] == "False" and "cni plugin not initialized" in ready["message"]
    pods = one.pods("east", "k8s-app", "kube-dns")
    assert {pod["status"]["phase"] for pod in pods} == {"Pending"} and not any(map(reading.node_of, pods))
    assert (GROUP, "ciliumnodes") not in store.resources
    install(one, "east", "1.15.19", values("east", 1))
    one.settle(90)
    assert all(reading.is_true(node, "Ready") for node in store.view(NODES))
    assert not any((node["spec"].get("taints")) for node in store.view(NODES))
    assert all(reading.ready(pod) for pod in one.pods("east", "k8s-app", "kube-dns"))
    assert store.get(CRDS, None, "ciliumnodes.cilium.io") is not None


def test_ranges_come_out_of_the_pool_and_pods_out_of_the_ranges() -> None:
    one = fresh()
    install(one, "east", "1.19.5", values("east", 1))
    one.settle(90)
    pool = ipaddress.IPv4Network("10.111.0.0/16")
    nodes = cilium_nodes(one)
    ranges = {node["metadata"]["name"]: ipaddress.IPv4Network(node["spec"]["ipam"]["podCIDRs"][0]) for node in nodes}
    assert len(set(ranges.values())) == 2
    assert all(net.prefixlen == 24 and net.subnet_of(pool) for net in ranges.values())
    everything = one.cluster("east").objects.view(PODS)
    pods = [pod for pod in everything if not reading.host_network(pod) and reading.ready(pod)]
    assert pods and all(ipaddress.IPv4Address(reading.pod_ip(pod)) in ranges[reading.node_of(pod)] for pod in pods)
    store = one.cluster("east").objects
    named = {end["metadata"]["name"] for end in store.view(store.resources[GROUP, "ciliumendpoints"])}
    assert named == {pod["metadata"]["name"] for pod in pods}


def test_a_pool_that_is_too_small_leaves_an_agent_without_a_range() -> None:
    one = fresh()
    install(one, "east", "1.19.5", values("east", 1, ipam__operator__clusterPoolIPv4PodCIDRList=["10.111.0.0/24"]))
    one.settle(90)
    with_range = [node for node in cilium_nodes(one) if node["spec"]["ipam"].get("podCIDRs")]
    assert len(with_range) == 1
    assert sum(reading.ready(pod) for pod in one.pods("east", "k8s-app", "cilium")) == 1


def test_certgen_signs_the_leaves_with_the_ca_that_is_there() -> None:
    one = fresh()
    install(one, "east", "1.15.19", values("east", 1))
    one.settle(5)
    apiserver = one.pods("east", "k8s-app", "clustermesh-apiserver")[0]
    assert not reading.ready(apiserver)
    one.settle(90)
    authority = certificate(one, "cilium-ca")
    for name in ("server", "admin", "remote"):
        certificate(one, f"clustermesh-apiserver-{name}-cert").verify_directly_issued_by(authority)
    names = certificate(one, "clustermesh-apiserver-server-cert").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "*.mesh.cilium.io" in names.value.get_values_for_type(x509.DNSName)
    assert all(reading.ready(pod) for pod in one.pods("east", "k8s-app", "clustermesh-apiserver"))


def test_pods_of_the_old_cni_keep_their_address_until_they_are_made_anew() -> None:
    one = fresh("aws-node")
    store = one.cluster("east").objects
    before = {pod["metadata"]["name"]: reading.pod_ip(pod) for pod in one.pods("east", "k8s-app", "kube-dns")}
    assert all(address.startswith("10.1.0.") for address in before.values())
    park = {"spec": {"template": {"spec": {"nodeSelector": {"io.cilium/aws-node-enabled": "true"}}}}}
    store.patch(DAEMONSETS, "kube-system", "aws-node", park, "strategic")
    install(one, "east", "1.19.5", values("east", 1))
    one.settle(90)
    assert {pod["metadata"]["name"]: reading.pod_ip(pod) for pod in one.pods("east", "k8s-app", "kube-dns")} == before
    named = {end["metadata"]["name"] for end in store.view(store.resources[GROUP, "ciliumendpoints"])}
    assert not named & set(before)
    restart = {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}}
    store.patch(DEPLOYMENTS, "kube-system", "coredns", restart)
    one.settle(60)
    assert all(reading.pod_ip(pod).startswith("10.111.") for pod in one.pods("east", "k8s-app", "kube-dns"))


def test_new_pods_get_no_address_between_a_parked_cni_and_cilium() -> None:
    one = fresh("aws-node")
    store = one.cluster("east").objects
    park = {"spec": {"template": {"spec": {"nodeSelector": {"io.cilium/aws-node-enabled": "true"}}}}}
    store.patch(DAEMONSETS, "kube-system", "aws-node", park, "strategic")
    one.settle(20)
    store.delete(PODS, "kube-system", one.pods("east", "k8s-app", "kube-dns")[0]["metadata"]["name"])
    one.settle(30)
    events = [event for event in store.view(EVENTS) if event["reason"] == "FailedCreatePodSandBox"]
    assert events and "127.0.0.1:50051" in events[0]["message"]
    assert all(reading.is_true(node, "Ready") for node in store.view(NODES))


def test_a_wrong_api_server_address_crashes_the_agents() -> None:
    one = fresh()
    install(one, "east", "1.19.5", values("east", 1, k8sServiceHost="https://127.0.0.1"))
    one.settle(60)
    for pod in one.pods("east", "k8s-app", "cilium"):
        state = pod["status"]["containerStatuses"][0]
        assert state["restartCount"] >= 1 and state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert "Unable to contact k8s api-server" in state["lastState"]["terminated"]["message"]


def test_settings_that_an_agent_does_not_accept_stop_it_only_when_it_restarts() -> None:
    one = fresh()
    install(one, "east", "1.19.5", values("east", 1))
    one.settle(90)
    store = one.cluster("east").objects
    store.patch(CONFIGMAPS, "kube-system", "cilium-config", {"data": {"tunnel-port": "many"}})
    one.settle(120)
    pods = one.pods("east", "k8s-app", "cilium")
    assert all(map(reading.ready, pods))
    store.delete(PODS, "kube-system", pods[0]["metadata"]["name"])
    one.settle(60)
    assert sum(map(reading.ready, one.pods("east", "k8s-app", "cilium"))) == 1


def test_a_mounted_secret_follows_after_a_minute_or_so() -> None:
    one = fresh()
    install(one, "east", "1.19.5", values("east", 1))
    one.settle(240)
    store = one.cluster("east").objects
    entry = base64.b64encode(b"endpoints:\n- https://west.mesh.cilium.io:2379\n").decode()
    store.patch(SECRETS, "kube-system", "cilium-clustermesh", {"data": {"west": entry}})
    running = one.simulation.clusters["east"].kubelets.runtimes
    runtimes = [running[pod["metadata"]["uid"]] for pod in one.pods("east", "k8s-app", "cilium")]

    def seen() -> int:
        return sum("west" in runtime.mounts.files["clustermesh-secrets"] for runtime in runtimes)

    one.settle(55)
    assert seen() == 0
    one.settle(40)
    assert seen() == 2


def test_the_addon_manager_puts_kube_proxy_back_after_two_minutes() -> None:
    one = fresh()
    cluster = one.cluster("east")
    cluster.provider = "aks"
    document: Object = {"properties": {"networkProfile": {}}}
    cluster.facts["managed_cluster"] = lambda: document
    store = cluster.objects
    label = {"metadata": {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}}
    store.patch(DAEMONSETS, "kube-system", "kube-proxy", label)
    one.settle(5)
    park = {"spec": {"template": {"spec": {"nodeSelector": {"meshwright.io/parked": "true"}}}}}
    store.patch(DAEMONSETS, "kube-system", "kube-proxy", park, "strategic")
    one.settle(100)
    assert store.need(DAEMONSETS, "kube-system", "kube-proxy")["status"]["desiredNumberScheduled"] == 0
    one.settle(40)
    assert store.need(DAEMONSETS, "kube-system", "kube-proxy")["status"]["desiredNumberScheduled"] == 2
    document["properties"]["networkProfile"]["kubeProxyConfig"] = {"enabled": False}
    store.patch(DAEMONSETS, "kube-system", "kube-proxy", park, "strategic")
    one.settle(150)
    assert store.get(DAEMONSETS, "kube-system", "kube-proxy") is None
