"""Record the schemas of a running API server and the wire format of its typed clients for the lab.

    record_schemas.py --kubectl KUBECTL --kubeconfig FILE --modules DIR --version v0.34.4

``DIR`` holds the Go modules ``k8s.io/api@VERSION`` and ``k8s.io/apimachinery@VERSION`` (``go env GOMODCACHE``, or a
folder that ``go mod download`` filled). Writes into ``backends/lab/storage/data``:

    schemas.json.xz  OpenAPI v3 components, by name
    columns.json.xz  table columns, by kind
    roles.json.xz    the roles and bindings that every API server makes for itself
    wire.json.xz     protobuf messages: field number -> name, type, label

All are derived from Kubernetes, Apache License 2.0.
"""

import argparse
import base64
import json
import lzma
import re
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "backends" / "lab" / "storage" / "data"
GROUP_VERSIONS = (
    "api/v1",
    "apis/admissionregistration.k8s.io/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/apps/v1",
    "apis/authentication.k8s.io/v1",
    "apis/authorization.k8s.io/v1",
    "apis/autoscaling/v1",
    "apis/autoscaling/v2",
    "apis/batch/v1",
    "apis/certificates.k8s.io/v1",
    "apis/coordination.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/scheduling.k8s.io/v1",
    "apis/storage.k8s.io/v1",
)
MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (optional|repeated|required|map<(\w+), ([.\w]+)>) ?([.\w]*) (\w+) = (\d+);", re.MULTILINE)
STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.MULTILINE | re.DOTALL)
GO_FIELD = re.compile(r"^\t(?:(\w+)\s+)?(\S+)\s+`json:\"([^\"]*)\" protobuf:\"\w+,(\d+)", re.MULTILINE)


def connection(kubectl: str, kubeconfig: str) -> Callable[[str, str], Any]:
    """What gets a path of the API server as JSON, with the kubeconfig's client certificate."""
    argv = [kubectl, "--kubeconfig", kubeconfig, "config", "view", "--raw", "--flatten", "-o", "json"]
    server = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    cluster, user = server["clusters"][0]["cluster"], server["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile(suffix=".pem") as pair:
        pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)

    def get(path: str, accept: str = "application/json") -> Any:
        request = urllib.request.Request(cluster["server"] + path, headers={"Accept": accept})
        with urllib.request.urlopen(request, context=context) as answer:
            return json.load(answer)

    return get


def schemas(get: Callable[[str, str], Any]) -> dict[str, Any]:
    """Components of every group version that the lab serves."""
    found: dict[str, Any] = {}
    for group_version in GROUP_VERSIONS:
        found |= get(f"/openapi/v3/{group_version}", "application/json")["components"]["schemas"]
    return found


def columns(get: Callable[[str, str], Any]) -> dict[str, Any]:
    """Table columns of every listable kind, by group and plural (``apps/daemonsets``)."""
    found: dict[str, Any] = {}
    for group_version in GROUP_VERSIONS:
        for resource in get(f"/{group_version}", "application/json")["resources"]:
            if "list" in resource["verbs"]:
                table = get(f"/{group_version}/{resource['name']}", "application/json;as=Table;v=v1;g=meta.k8s.io")
                group = group_version.split("/")[1] if group_version.startswith("apis/") else ""
                found[f"{group}/{resource['name']}"] = table["columnDefinitions"]
    return found


def roles(get: Callable[[str, str], Any]) -> dict[str, list[Any]]:
    """The roles and bindings that every API server makes for itself, without what differs between servers."""
    found: dict[str, list[Any]] = {}
    for plural in ("clusterroles", "clusterrolebindings", "roles", "rolebindings"):
        query = "labelSelector=kubernetes.io/bootstrapping%3Drbac-defaults"
        items = get(f"/apis/rbac.authorization.k8s.io/v1/{plural}?{query}", "application/json")["items"]
        kept = ("name", "namespace", "labels", "annotations")
        for item in items:
            item["metadata"] = {key: value for key, value in item["metadata"].items() if key in kept}
        found[plural] = items
    return found


def messages(proto: Path) -> dict[str, dict[str, list[str]]]:
    """Messages of one file: field number -> [name, type, label]; ``inline`` and ``pointer`` as the Go types say."""
    text = proto.read_text()
    package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
    assert package is not None
    structs: dict[str, dict[str, tuple[str, str]]] = {}
    for source in sorted(proto.parent.glob("*types*.go")) + sorted(proto.parent.glob("types*.go")):
        for name, body in STRUCT.findall(source.read_text()):
            structs[name] = {number: (kind, tag) for _, kind, tag, number in GO_FIELD.findall(body)}
    found: dict[str, dict[str, list[str]]] = {}
    for name, body in MESSAGE.findall(text):
        fields = {}
        for label, key, value, kind, field, number in FIELD.findall(body):
            go_kind, tag = structs.get(name, {}).get(number, ("", ""))
            if key:
                label, kind = "map", value
            elif tag.startswith(",inline") or tag == ",inline":
                label = "inline"
            elif label == "optional" and go_kind.startswith("*"):
                label = "pointer"
            if "." in kind:
                kind = kind.lstrip(".")
            elif kind[0].isupper():
                kind = f"{package[1]}.{kind}"
            fields[number] = [field, kind, label]
        found[f"{package[1]}.{name}"] = fields
    return found


def wire(modules: Path, version: str) -> dict[str, Any]:
    """Messages of the API groups that the lab serves and of what they build on."""
    api = modules / "k8s.io" / f"api@{version}"
    machinery = modules / "k8s.io" / f"apimachinery@{version}"
    groups = {entry.split("/")[1].split(".")[0] for entry in GROUP_VERSIONS if entry.startswith("apis/")} | {"core"}
    found: dict[str, Any] = {}
    for proto in sorted(api.glob("*/v[12]/generated.proto")):
        if proto.parent.parent.name in groups:
            found |= messages(proto)
    for name in ("pkg/apis/meta/v1", "pkg/api/resource", "pkg/runtime", "pkg/util/intstr"):
        found |= messages(machinery / name / "generated.proto")
    return found


def write(name: str, value: Any) -> None:
    """Compact, sorted, compressed: equal input gives equal bytes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    (DATA / name).write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    """Read the command line and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--modules", required=True, type=Path)
    parser.add_argument("--version", default="v0.34.4")
    options = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    get = connection(options.kubectl, options.kubeconfig)
    write("schemas.json.xz", schemas(get))
    write("columns.json.xz", columns(get))
    write("roles.json.xz", roles(get))
    write("wire.json.xz", wire(options.modules, options.version))


if __name__ == "__main__":
    main()
