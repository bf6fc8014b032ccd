"""Requests that change nothing: discovery, reads, lists, watches, who may what."""

from tests.real.conformance.objects import access_review
from tests.real.conformance.request import APPS, CORE, NS, SPACE, Request

TABLE_ACCEPT = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PARTIAL_ACCEPT = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
ALICE = {"Impersonate-User": "alice", "Impersonate-Group": "guests"}
REVIEWS = "/apis/authorization.k8s.io/v1"

DISCOVERY = (
    Request("the version", "GET", "/version", 200, how="shape"),
    Request("health: ready", "GET", "/readyz", 200),
    Request("health: alive", "GET", "/livez", 200),
    Request("the core API", "GET", "/api", 200, how="shape"),
    Request("all groups", "GET", "/apis", 200, how="subset"),
    Request("core resources", "GET", "/api/v1", 200, how="subset"),
    Request("apps resources", "GET", "/apis/apps/v1", 200, how="subset"),
    Request("batch resources", "GET", "/apis/batch/v1", 200, how="subset"),
    Request("endpoint slice resources", "GET", "/apis/discovery.k8s.io/v1", 200, how="subset"),
    Request("lease resources", "GET", "/apis/coordination.k8s.io/v1", 200, how="subset"),
    Request("one group", "GET", "/apis/apps", 200),
    Request("a group that is not there", "GET", "/apis/cilium.io/v2", 404),
    Request("a version that is not there", "GET", "/apis/apps/v9", 404),
    Request("a path that is not there", "GET", "/nowhere", 404),
    Request("a resource that is not there", "GET", f"{CORE}/widgets", 404),
    Request("objects of a group that is not there", "GET", "/apis/cilium.io/v2/ciliumnodes", 404),
)

READS = (
    Request("a namespace", "GET", f"{CORE}/namespaces/default", 200),
    Request("all namespaces", "GET", f"{CORE}/namespaces", 200, how="shape"),
    Request("a missing namespace", "GET", f"{CORE}/namespaces/nowhere", 404),
    Request("a missing pod", "GET", f"{NS}/pods/none", 404),
    Request("a missing pod of a missing namespace", "GET", f"{CORE}/namespaces/nowhere/pods/none", 404),
    Request("a missing deployment", "GET", f"{APPS}/deployments/none", 404),
    Request("a missing node", "GET", f"{CORE}/nodes/none", 404),
    Request("pods of a missing namespace", "GET", f"{CORE}/namespaces/nowhere/pods", 200),
    Request("one object of many", "GET", f"{CORE}/configmaps?limit=1", 200, how="shape"),
    Request("a bad label selector", "GET", f"{NS}/pods?labelSelector=a%20b", 400),
    Request("a bad operator in a label selector", "GET", f"{NS}/pods?labelSelector=a%20in%20b", 400),
    Request("a field selector without operator", "GET", f"{NS}/pods?fieldSelector=name", 400),
    Request("a field that no pod is selected by", "GET", f"{NS}/pods?fieldSelector=spec.colour%3Dred", 400),
    Request("a field that no ConfigMap is selected by", "GET", f"{NS}/configmaps?fieldSelector=data%3Dred", 400),
    Request("pods of one node", "GET", f"{NS}/pods?fieldSelector=spec.nodeName%3Dnone", 200),
    Request("a limit that is no number", "GET", f"{NS}/pods?limit=many", 400),
    Request("a token that is none", "GET", f"{NS}/pods?limit=1&continue=garbage", 400),
    Request("a version that is no number", "GET", f"{NS}/pods?resourceVersion=new", 400),
    Request("a token that is no base64", "GET", f"{NS}/pods?continue=@@", 400),
    Request("a token of another make", "GET", f"{NS}/pods?continue=e30", 400),
    Request("an exact match of any version", "GET", f"{NS}/pods?resourceVersionMatch=Exact&resourceVersion=0", 422),
    Request("a match that is none", "GET", f"{NS}/pods?resourceVersionMatch=Some&resourceVersion=1", 422),
    Request("an open set in a label selector", "GET", f"{NS}/pods?labelSelector=a%20in%20(b", 400),
    Request("half a label selector", "GET", f"{NS}/pods?labelSelector=a%20in", 400),
    Request("objects of a version that is not there", "GET", "/apis/apps/v9/deployments", 404),
    Request("a core version that is not there", "GET", "/api/v2/pods", 404),
    Request("a match without version", "GET", f"{NS}/pods?resourceVersionMatch=Exact", 422),
    Request("a version far in the future", "GET", f"{NS}/pods/none?resourceVersion=1", 404),
    Request("a table of nothing", "GET", f"{NS}/pods", 200, headers=TABLE_ACCEPT),
    Request("metadata of nothing", "GET", f"{NS}/pods", 200, headers=PARTIAL_ACCEPT),
    Request("a picture of pods", "GET", f"{NS}/pods", 406, headers={"Accept": "image/png"}),
    Request("POST where an object is", "POST", f"{NS}/pods/none", 405, body={}),
    Request("PUT where a list is", "PUT", f"{NS}/pods", 405, body={}),
    Request("the log of a missing pod", "GET", f"{NS}/pods/none/log", 404),
    Request("exec in a missing pod", "POST", f"{NS}/pods/none/exec?command=ls&stdout=true", 404),
    Request("the scale of a missing deployment", "GET", f"{APPS}/deployments/none/scale", 404),
    Request("a subresource that is not there", "GET", f"{NS}/configmaps/none/scale", 404),
    Request("a watch from a version that is none", "GET", f"{NS}/pods?watch=1&resourceVersion=new", 500),
)

RIGHTS = (
    Request("a wrong token", "GET", f"{CORE}/nodes", 401, headers={"Authorization": "Bearer wrong"}, anonymous=True),
    Request(
        "who I am",
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        201,
        how="shape",
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "SelfSubjectReview",
        },
    ),
    Request(
        "may I", "POST", f"{REVIEWS}/selfsubjectaccessreviews", 201, how="shape", body=access_review("list", "pods")
    ),
    Request(
        "what may I",
        "POST",
        f"{REVIEWS}/selfsubjectrulesreviews",
        201,
        how="shape",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": SPACE},
        },
    ),
    Request(
        "what may I, nowhere named",
        "POST",
        f"{REVIEWS}/selfsubjectrulesreviews",
        400,
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {},
        },
    ),
    Request(
        "guest: may I",
        "POST",
        f"{REVIEWS}/selfsubjectaccessreviews",
        201,
        headers=ALICE,
        body=access_review("list", "secrets"),
    ),
    Request("guest: a list", "GET", f"{CORE}/nodes", 403, headers=ALICE),
    Request("guest: a secret", "GET", f"{NS}/secrets/cilium-ca", 403, headers=ALICE),
    Request("guest: a list in a namespace", "GET", f"{APPS}/daemonsets", 403, headers=ALICE),
    Request("guest: exec", "POST", f"{NS}/pods/none/exec?command=ls", 403, headers=ALICE),
    Request("guest: a log", "GET", f"{NS}/pods/none/log", 403, headers=ALICE),
    Request("guest: a missing resource", "GET", f"{CORE}/widgets", 403, headers=ALICE),
    Request("guest: a creation", "POST", f"{NS}/configmaps", 403, headers=ALICE, body={}),
    Request("guest: a watch", "GET", f"{CORE}/pods?watch=1", 403, headers=ALICE),
    Request("guest: the version", "GET", "/version", 200, headers=ALICE, how="shape"),
    Request("nobody: a list", "GET", f"{CORE}/nodes", 403, anonymous=True),
    Request("nobody: the version", "GET", "/version", 200, how="shape", anonymous=True),
    Request("nobody: health", "GET", "/readyz", 200, anonymous=True),
)
