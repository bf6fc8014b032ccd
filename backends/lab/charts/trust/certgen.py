"""Certificates of method ``cronJob``: certgen's Job and CronJob issue them in the cluster (cilium-clustermesh §2.7)."""

import hashlib
import json

import yaml

from backends.lab.charts.context import Context, Object
from backends.lab.charts.trees import text
from backends.lab.charts.trust.secrets import hubble_leaves, mesh_leaves, remote_name
from backends.lab.charts.workloads.pods import without_empty

MESH = "clustermesh-apiserver-generate-certs"
HUBBLE = "hubble-generate-certs"


def certgen(context: Context) -> list[Object]:
    """Jobs and CronJobs for the mesh's and Hubble's certificates."""
    return [*_mesh(context), *_hubble(context)]


def uses_mesh_certgen(context: Context) -> bool:
    """Whether certgen issues the mesh certificates."""
    auto = "clustermesh.apiserver.tls.auto"
    on = context.mesh_server and context.on(f"{auto}.enabled")
    return on and context.text(f"{auto}.method") == "cronJob"


def uses_hubble_certgen(context: Context) -> bool:
    """Whether certgen issues Hubble's certificates."""
    tls = "hubble.tls"
    on = context.on("hubble.enabled") and context.on(f"{tls}.enabled") and context.on(f"{tls}.auto.enabled")
    return on and context.text(f"{tls}.auto.method") == "cronJob"


def _mesh(context: Context) -> list[Object]:
    if not uses_mesh_certgen(context):
        return []
    spec = _spec(context, MESH, "clustermeshcertgen", _mesh_args(context), _mesh_certs(context))
    labels = {"k8s-app": MESH, "app.kubernetes.io/part-of": "cilium"}
    found = []
    if context.internal_store:
        found.append(_job(context, MESH, labels, "clustermesh.annotations", spec))
    schedule = context.text("clustermesh.apiserver.tls.auto.schedule")
    if schedule:
        found.append(_cron_job(context, MESH, labels, "clustermesh.annotations", schedule, spec))
    return found


def _hubble(context: Context) -> list[Object]:
    if not uses_hubble_certgen(context):
        return []
    spec = _spec(context, HUBBLE, "hubblecertgen", _hubble_args(context), _hubble_certs(context))
    labels = {"k8s-app": HUBBLE, "app.kubernetes.io/name": HUBBLE, "app.kubernetes.io/part-of": "cilium"}
    found = [_job(context, HUBBLE, labels, "hubble.annotations", spec)]
    schedule = context.text("hubble.tls.auto.schedule")
    if schedule:
        found.append(_cron_job(context, HUBBLE, labels, "hubble.annotations", schedule, spec))
    return found


def _job(context: Context, name: str, labels: dict[str, str], notes: str, spec: Object) -> Object:
    annotations = {**context.table("certgen.annotations.job"), **context.table(notes)}
    if context.minor < 19:
        annotations = {"helm.sh/hook": "post-install,post-upgrade", **annotations}
    else:
        digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
        name = f"{name}-{digest[:10]}"
    metadata = context.metadata(name, labels, annotations)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _cron_job(context: Context, name: str, labels: dict[str, str], notes: str, schedule: str, spec: Object) -> Object:
    body: Object = {"schedule": schedule, "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": spec}}
    if context.minor >= 19:
        limits = "certgen.cronJob"
        body["successfulJobsHistoryLimit"] = context.get(f"{limits}.successfulJobsHistoryLimit")
        body["failedJobsHistoryLimit"] = context.get(f"{limits}.failedJobsHistoryLimit")
    annotations = context.table(notes)
    if name == HUBBLE:
        annotations = {**context.table("certgen.annotations.cronJob"), **annotations}
    metadata = context.metadata(name, labels, annotations)
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": body}


def _spec(context: Context, app: str, account: str, args: list[str], certs: list[Object]) -> Object:
    name = context.text(f"serviceAccounts.{account}.name")
    extra = "clustermesh.apiserver.podLabels" if app == MESH else "certgen.podLabels"
    env = []
    if certs:
        env = [{"name": "CILIUM_CERTGEN_CONFIG", "value": yaml.safe_dump({"certs": certs}, sort_keys=False)}]
    container = without_empty(
        {
            "name": "certgen",
            "image": context.image("certgen.image"),
            "imagePullPolicy": context.text("certgen.image.pullPolicy"),
            "command": ["/usr/bin/cilium-certgen"],
            "args": args,
            "env": env,
            "volumeMounts": context.items("certgen.extraVolumeMounts"),
        }
    )
    pod = without_empty(
        {
            "containers": [container],
            "hostNetwork": context.minor == 15 or (app == MESH and context.minor < 19),
            "nodeSelector": context.table("certgen.nodeSelector"),
            "priorityClassName": context.text("certgen.priorityClassName"),
            "tolerations": context.items("certgen.tolerations"),
            "serviceAccount": name if context.minor < 19 else "",
            "serviceAccountName": name,
            "automountServiceAccountToken": context.get(f"serviceAccounts.{account}.automount"),
            "restartPolicy": "OnFailure",
            "volumes": context.items("certgen.extraVolumes"),
            "affinity": context.table("certgen.affinity"),
        }
    )
    spec: Object = {"template": {"metadata": {"labels": {"k8s-app": app, **context.table(extra)}}, "spec": pod}}
    if context.get("certgen.ttlSecondsAfterFinished"):
        spec["ttlSecondsAfterFinished"] = context.get("certgen.ttlSecondsAfterFinished")
    return spec


def _authority_args(context: Context) -> list[str]:
    debug = ["--debug"] if context.on("debug.enabled") else []
    if context.minor == 15:
        args = [f"--cilium-namespace={context.home}", *debug, "--ca-generate", "--ca-reuse-secret"]
        if context.on("tls.ca.cert") and context.on("tls.ca.key"):
            args.append("--ca-secret-name=cilium-ca")
        return args
    generate = f"--ca-generate={context.text('certgen.generateCA')}" if context.minor >= 17 else "--ca-generate"
    args = [*debug, generate, "--ca-reuse-secret", f"--ca-secret-namespace={context.home}"]
    args += ["--ca-secret-name=cilium-ca", "--ca-common-name=Cilium CA"]
    if context.minor >= 20:
        lasting = context.text("certgen.enforceCAValidityThroughoutLeavesDuration")
        args.append(f"--ca-enforce-validity-throughout-leaves-duration={lasting}")
    return args


def _mesh_args(context: Context) -> list[str]:
    args = _authority_args(context)
    if context.minor > 15:
        return args
    seconds = f"{int(context.get('clustermesh.apiserver.tls.auto.certValidityDuration')) * 86400}s"
    service = f"clustermesh-apiserver.{context.home}.svc"
    tls = "clustermesh.apiserver.tls.server"
    names = ["*.mesh.cilium.io", service, *context.items(f"{tls}.extraDnsNames")]
    names += context.items(f"{tls}.extraIpAddresses")
    lasting = "cert-validity-duration"
    args += ["--clustermesh-apiserver-server-cert-generate", f"--clustermesh-apiserver-server-{lasting}={seconds}"]
    args.append(f"--clustermesh-apiserver-server-cert-sans={','.join(text(name) for name in names)}")
    args += ["--clustermesh-apiserver-admin-cert-generate", f"--clustermesh-apiserver-admin-{lasting}={seconds}"]
    args.append(f"--clustermesh-apiserver-admin-cert-common-name=admin-{context.text('cluster.name')}")
    if context.on("externalWorkloads.enabled"):
        args += ["--clustermesh-apiserver-client-cert-generate", f"--clustermesh-apiserver-client-{lasting}={seconds}"]
    if context.on("clustermesh.useAPIServer"):
        args += ["--clustermesh-apiserver-remote-cert-generate", f"--clustermesh-apiserver-remote-{lasting}={seconds}"]
        args.append(f"--clustermesh-apiserver-remote-cert-common-name={remote_name(context)}")
    return args


def _hubble_args(context: Context) -> list[str]:
    args = _authority_args(context)
    if context.minor > 15:
        return args
    seconds = f"{int(context.get('hubble.tls.auto.certValidityDuration')) * 86400}s"
    cluster = context.text("cluster.name").replace(".", "-")
    args += ["--hubble-server-cert-generate", f"--hubble-server-cert-common-name=*.{cluster}.hubble-grpc.cilium.io"]
    args.append(f"--hubble-server-cert-validity-duration={seconds}")
    for name in ("hubble-relay-client-certs", "hubble-relay-server-certs"):
        if name in hubble_leaves(context):
            flag = name.removesuffix("s")
            args += [f"--{flag}-generate", f"--{flag}-validity-duration={seconds}"]
    return args


def _request(context: Context, name: str, common_name: str, hosts: list[str], uses: list[str], days: int) -> Object:
    wanted: Object = {"name": name, "namespace": context.home, "commonName": common_name}
    if hosts:
        wanted["hosts"] = hosts
    return {**wanted, "usage": ["signing", "key encipherment", *uses], "validity": f"{days * 24}h"}


def _mesh_certs(context: Context) -> list[Object]:
    if context.minor == 15:
        return []
    days = int(context.get("clustermesh.apiserver.tls.auto.certValidityDuration"))
    found = []
    for name, (common_name, hosts) in mesh_leaves(context).items():
        uses = ["server auth"] if name == "clustermesh-apiserver-server-cert" else ["client auth"]
        found.append(_request(context, name, common_name, hosts, uses, days))
    return found


def _hubble_certs(context: Context) -> list[Object]:
    if context.minor == 15:
        return []
    days = int(context.get("hubble.tls.auto.certValidityDuration"))
    uses = {
        "hubble-server-certs": ["server auth", "client auth"],
        "hubble-relay-client-certs": ["client auth"],
        "hubble-relay-server-certs": ["server auth"],
    }
    return [
        _request(context, name, common_name, hosts, uses[name], days)
        for name, (common_name, hosts) in hubble_leaves(context).items()
    ]
