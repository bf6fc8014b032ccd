"""Requests that create, change and delete, in the order in which they are sent."""

from tests.real.conformance.objects import config, deployment, lease, namespace, secret, service
from tests.real.conformance.request import APPLY, APPS, CORE, MERGE, NS, PATCH, SPACE, STRATEGIC, Request

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{SPACE}/leases"
APPLIED = config("applied", {"colour": "red"})
REPLACE_TEST = [{"op": "test", "path": "/data/colour", "value": "blue"}]

CREATIONS = (
    Request("a namespace", "POST", f"{CORE}/namespaces", 201, body=namespace()),
    Request("the same namespace", "POST", f"{CORE}/namespaces", 409, body=namespace()),
    Request("a namespace with a bad name", "POST", f"{CORE}/namespaces", 422, body=namespace("Bad_Name")),
    Request("an object", "POST", f"{NS}/configmaps", 201, body=config("first", {"colour": "red"})),
    Request("the same object", "POST", f"{NS}/configmaps", 409, body=config("first", {})),
    Request(
        "an object without name",
        "POST",
        f"{NS}/configmaps",
        422,
        body={
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {},
        },
    ),
    Request(
        "a generated name",
        "POST",
        f"{NS}/configmaps?dryRun=All",
        201,
        how="shape",
        body={
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"generateName": "made-"},
        },
    ),
    Request(
        "in a missing namespace",
        "POST",
        f"{CORE}/namespaces/nowhere/configmaps",
        404,
        body={
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a"},
        },
    ),
    Request(
        "in another namespace than the path's",
        "POST",
        f"{CORE}/namespaces/default/configmaps",
        400,
        body=config("b", {}),
    ),
    Request("another kind than the path's", "POST", f"{NS}/configmaps", 400, body=secret("c")),
    Request("no JSON", "POST", f"{NS}/configmaps", 400, body="{nothing", how="message"),
    Request("a picture", "POST", f"{NS}/configmaps", 415, body="x", type="image/png"),
    Request("a dry run", "POST", f"{NS}/configmaps?dryRun=All", 201, body=config("dry", {"a": "b"})),
    Request("what the dry run left", "GET", f"{NS}/configmaps/dry", 404),
    Request("a dry run of something else", "POST", f"{NS}/configmaps?dryRun=Some", 422, body=config("dry", {})),
    Request(
        "a field that is not there",
        "POST",
        f"{NS}/configmaps?fieldValidation=Strict",
        400,
        body=config("strict", {}) | {"colour": "red"},
    ),
    Request(
        "a number where text belongs", "POST", f"{NS}/configmaps", 400, body=config("typed", {"a": 1}), how="message"
    ),
    Request("a secret from text", "POST", f"{NS}/secrets", 201, body=secret("text", stringData={"a": "b"})),
    Request(
        "a secret that is no base64", "POST", f"{NS}/secrets", 400, body=secret("bad", data={"a": "?"}), how="message"
    ),
    Request(
        "a TLS secret without key",
        "POST",
        f"{NS}/secrets",
        422,
        body=secret(
            "tls",
            "kubernetes.io/tls",
            data={
                "tls.crt": "YQ==",
            },
        ),
    ),
    Request("a service", "POST", f"{NS}/services", 201, body=service("front")),
    Request("a service on port 0", "POST", f"{NS}/services", 422, body=service("zero", 0)),
    Request("a service of a type that is none", "POST", f"{NS}/services", 422, body=service("kind", type="Funny")),
    Request(
        "a node port out of range",
        "POST",
        f"{NS}/services",
        422,
        body=service(
            "far",
            type="NodePort",
            ports=[
                {"port": 80, "nodePort": 80},
            ],
        ),
    ),
    Request("a headless service", "POST", f"{NS}/services", 201, body=service("headless", clusterIP="None")),
    Request("a deployment", "POST", f"{APPS}/deployments", 201, body=deployment("web", "web", "web")),
    Request("a selector that does not match", "POST", f"{APPS}/deployments", 422, body=deployment("odd", "a", "b")),
    Request(
        "a pod without containers",
        "POST",
        f"{CORE}/namespaces/default/pods",
        422,
        body={
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "empty"},
            "spec": {"containers": []},
        },
    ),
    Request("a lease", "POST", LEASES, 201, body=lease("join", "one"), keep={"lease": "metadata.resourceVersion"}),
    Request("the same lease", "POST", LEASES, 409, body=lease("join", "two")),
    Request(
        "a token of a missing account",
        "POST",
        f"{NS}/serviceaccounts/none/token",
        404,
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {},
        },
    ),
)

BROKEN_BODIES = tuple(
    Request(f"a body that is {body!r}", "POST", f"{NS}/configmaps", 400, body=body)
    for body in (
        "",
        "[",
        '{"a":1,}',
        '{"a" 1}',
        '{"a":1 "b"}',
        "[1 2]",
        "nope",
        "{} x",
        '{"a":tru}',
        '{"a":"\x01"}',
        '"x',
        "[]",
        "1",
        '{"kind":"Deployment","apiVersion":"apps/v1"}',
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":[]}',
    )
)

BROKEN_SECRETS = tuple(
    Request(f"a secret that holds {text!r}", "POST", f"{NS}/secrets", 400, body=secret("bad", data={"a": text}))
    for text in ("?", "YQ", "YQ=", "YWI?", "a b", "YWJj====", 7)
)

READ_BACK = (
    Request("an object", "GET", f"{NS}/configmaps/first", 200, keep={"old": "metadata.resourceVersion"}),
    Request("a service with its defaults", "GET", f"{NS}/services/front", 200),
    Request(
        "a table with rows",
        "GET",
        f"{NS}/services?fieldSelector=metadata.name%3Dfront",
        200,
        how="shape",
        headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
    ),
    Request("by name", "GET", f"{NS}/configmaps?fieldSelector=metadata.name%3Dfirst", 200),
    Request("by a label that nobody has", "GET", f"{NS}/services?labelSelector=tier%20in%20(a,b)", 200),
    Request("the first of several", "GET", f"{NS}/services?limit=1", 200, keep={"more": "metadata.continue"}),
    Request("the next of several", "GET", f"{NS}/services?limit=1&continue={{more}}", 200),
    Request("a watch of what is there", "GET", f"{NS}/services?watch=1&timeoutSeconds=1", 200),
    Request("a scale", "GET", f"{APPS}/deployments/web/scale", 200),
)

CHANGES = (
    Request("put", "PUT", f"{NS}/configmaps/first", 200, body=config("first", {"colour": "green"})),
    Request(
        "put with an old version",
        "PUT",
        f"{NS}/configmaps/first",
        409,
        body=config("first", {}, resourceVersion="{old}"),
    ),
    Request("put with another name", "PUT", f"{NS}/configmaps/first", 400, body=config("second", {})),
    Request("put what is not there", "PUT", f"{NS}/configmaps/made", 404, body=config("made", {})),
    Request(
        "put with another uid",
        "PUT",
        f"{NS}/configmaps/first",
        409,
        body=config("first", {}, uid="other"),
        how="message",
    ),
    Request(
        "merge patch", "PATCH", f"{NS}/configmaps/first", 200, type=MERGE, body={"data": {"colour": None, "size": "1"}}
    ),
    Request(
        "JSON patch",
        "PATCH",
        f"{NS}/configmaps/first",
        200,
        type=PATCH,
        body=[
            {"op": "add", "path": "/data/colour", "value": "red"},
        ],
    ),
    Request(
        "JSON patch whose test fails",
        "PATCH",
        f"{NS}/configmaps/first",
        422,
        type=PATCH,
        body=REPLACE_TEST,
        how="message",
    ),
    Request(
        "JSON patch of a missing path",
        "PATCH",
        f"{NS}/configmaps/first",
        422,
        type=PATCH,
        body=[
            {"op": "remove", "path": "/data/none"},
        ],
    ),
    Request(
        "JSON patch that is none", "PATCH", f"{NS}/configmaps/first", 400, type=PATCH, body={"op": "add"}, how="message"
    ),
    Request(
        "strategic patch of a container",
        "PATCH",
        f"{APPS}/deployments/web",
        200,
        type=STRATEGIC,
        how="spec",
        body={
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "main:2"}]}}},
        },
    ),
    Request(
        "strategic patch of a port",
        "PATCH",
        f"{NS}/services/front",
        200,
        type=STRATEGIC,
        body={"spec": {"ports": [{"port": 80, "name": "web"}, {"port": 81, "name": "more"}]}},
    ),
    Request("a patch of what is not there", "PATCH", f"{NS}/configmaps/none", 404, type=MERGE, body={}),
    Request("a patch of a kind that is none", "PATCH", f"{NS}/configmaps/first", 415, type="text/plain", body="x"),
    Request(
        "a patch with an old version",
        "PATCH",
        f"{NS}/configmaps/first",
        409,
        type=MERGE,
        body={
            "metadata": {"resourceVersion": "{old}"},
        },
    ),
    Request("a scale", "PATCH", f"{APPS}/deployments/web/scale", 200, type=MERGE, body={"spec": {"replicas": 0}}),
    Request(
        "a negative scale", "PATCH", f"{APPS}/deployments/web/scale", 422, type=MERGE, body={"spec": {"replicas": -1}}
    ),
    Request(
        "a selector that cannot change",
        "PATCH",
        f"{APPS}/deployments/web",
        422,
        type=MERGE,
        body={
            "spec": {
                "selector": {"matchLabels": {"app": "other"}},
                "template": {"metadata": {"labels": {"app": "other"}}},
            },
        },
    ),
    Request(
        "a status",
        "PATCH",
        f"{NS}/services/front/status",
        200,
        type=MERGE,
        body={
            "status": {"loadBalancer": {}},
        },
    ),
    Request("apply without manager", "PATCH", f"{NS}/configmaps/applied", 422, type=APPLY, body=APPLIED),
    Request("apply makes it", "PATCH", f"{NS}/configmaps/applied?fieldManager=one", 201, type=APPLY, body=APPLIED),
    Request("apply again", "PATCH", f"{NS}/configmaps/applied?fieldManager=one", 200, type=APPLY, body=APPLIED),
    Request(
        "apply what another manager owns",
        "PATCH",
        f"{NS}/configmaps/applied?fieldManager=two",
        409,
        type=APPLY,
        body=config("applied", {"colour": "blue"}),
    ),
    Request(
        "apply by force",
        "PATCH",
        f"{NS}/configmaps/applied?fieldManager=two&force=true",
        200,
        type=APPLY,
        body=config("applied", {"colour": "blue"}),
    ),
    Request(
        "a lease with its version", "PUT", f"{LEASES}/join", 200, body=lease("join", "two", resourceVersion="{lease}")
    ),
    Request(
        "a lease with the same version again",
        "PUT",
        f"{LEASES}/join",
        409,
        body=lease("join", "three", resourceVersion="{lease}"),
    ),
    Request(
        "all changes of an object, watched",
        "GET",
        f"{NS}/configmaps?watch=1&timeoutSeconds=1&resourceVersion={{old}}&fieldSelector=metadata.name%3Dfirst",
        200,
    ),
)

DELETIONS = (
    Request(
        "with another uid",
        "DELETE",
        f"{NS}/configmaps/first",
        409,
        how="message",
        body={
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "00000000-0000-0000-0000-000000000000"},
        },
    ),
    Request("in a dry run", "DELETE", f"{NS}/configmaps/first?dryRun=All", 200),
    Request("an object", "DELETE", f"{NS}/configmaps/first", 200),
    Request("the same object", "DELETE", f"{NS}/configmaps/first", 404),
    Request("a deployment", "DELETE", f"{APPS}/deployments/web?propagationPolicy=Background", 200),
    Request("a deployment in a way that is none", "DELETE", f"{APPS}/deployments/web?propagationPolicy=Somehow", 422),
    Request("a service", "DELETE", f"{NS}/services/headless", 200),
    Request("all of a label", "DELETE", f"{NS}/configmaps?labelSelector=tier%3Dnone", 200, how="shape"),
    Request("a namespace", "DELETE", f"{CORE}/namespaces/{SPACE}", 200, how="shape"),
    Request("a missing namespace", "DELETE", f"{CORE}/namespaces/nowhere", 404),
)
