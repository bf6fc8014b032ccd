"""The life of pods on their nodes: mounted, given an address, pulled, started, ready, restarted, stopped.

Delays are lab seconds that a healthy cluster shows; what a pod waits for is told by its status and by Events.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backends.lab.controllers import reading
from backends.lab.controllers.kubelet import images, statuses
from backends.lab.controllers.kubelet.host import Addresses, NoAddress
from backends.lab.controllers.kubelet.programs import Ground, Verdict, program_of, stop_seconds
from backends.lab.controllers.kubelet.runtime import PodRuntime, Process
from backends.lab.controllers.kubelet.volumes import Mounts, environment
from backends.lab.controllers.loop import NEVER
from backends.lab.controllers.recording import Recorder
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import CONFIGMAPS, NODES, PODS, SECRETS

Phase = str
MOUNT: Final = "mount"
SANDBOX: Final = "sandbox"
PULL: Final = "pull"
START: Final = "start"
RUN: Final = "run"
BACKOFF: Final = "backoff"

STABLE: Final = 600.0
"""Lab seconds after which a crash starts with the shortest back-off again."""


@dataclass(slots=True)
class Life:
    """Where a pod is between bound and gone."""

    phase: Phase
    due: float
    mounts: Mounts
    ip: str = ""
    attempts: int = 0
    restarts: int = 0
    last: Object | None = None
    stop_at: float = NEVER
    runtime: PodRuntime | None = None
    waits: bool = False
    """Nothing but a change of the cluster can move it on before ``due``."""


class Kubelets:
    """The kubelets of all nodes of a cluster. ``runtimes`` holds what runs, by pod uid."""

    watches = frozenset(
        {PODS.key, NODES.key, SECRETS.key, CONFIGMAPS.key, ("cilium.io", "ciliumnodes"), ("", "services")}
    )

    def __init__(self, store: ObjectStore, ground: Ground, addresses: Addresses, recorder: Recorder) -> None:
        self._store = store
        self._ground = ground
        self._addresses = addresses
        self._recorder = recorder
        self._lives: dict[str, Life] = {}
        self.runtimes: dict[str, PodRuntime] = {}
        self.stopped: list[Callable[[PodRuntime], None]] = []
        """Called with the runtime of every pod whose processes have just ended."""
        self.started: list[Callable[[PodRuntime], None]] = []
        """Called with the runtime of every pod whose processes have just started."""
        self.crashed: list[Callable[[PodRuntime, str], None]] = []
        """Called with a runtime and the last line its process wrote before it ended by itself."""
        self._steps = {MOUNT: self._mount, SANDBOX: self._sandbox, PULL: self._pull, START: self._start}
        store.left_to_controllers.add(PODS.key)

    def runtime(self, namespace: str, name: str) -> PodRuntime | None:
        """What runs in a pod, or None where nothing does."""
        pod = self._store.stored(PODS, namespace, name)
        return None if pod is None else self.runtimes.get(pod["metadata"]["uid"])

    def serving(self, container: str) -> list[PodRuntime]:
        """What runs this container and is not told to stop, oldest first."""
        found = []
        for runtime in self.runtimes.values():
            pod = self._store.stored(PODS, runtime.namespace, runtime.name) if container in runtime.processes else None
            if pod is not None and pod["metadata"]["uid"] == runtime.uid and not reading.terminating(pod):
                found.append(runtime)
        return sorted(found, key=lambda runtime: (runtime.started_at, runtime.name))

    def reconcile(self, now: float) -> float:
        """Move every pod on as far as it can go now."""
        due = NEVER
        seen = set()
        for pod in list(self._store.view(PODS)):
            seen.add(pod["metadata"]["uid"])
            due = min(due, self._advance(pod, now))
        for uid in [uid for uid in self._lives if uid not in seen]:
            self._forget(uid)
        return due

    def _advance(self, pod: Object, now: float) -> float:
        meta = pod["metadata"]
        node = reading.node_of(pod)
        if not node:
            if reading.terminating(pod):
                self._remove(pod)
            return NEVER
        if self._store.stored(NODES, None, node) is None:
            self._remove(pod)
            return NEVER
        if reading.terminating(pod):
            return self._stop(pod, now)
        if reading.finished(pod):
            self._end(meta["uid"])
            return NEVER
        life = self._lives.get(meta["uid"])
        if life is None:
            life = self._begin(pod, now)
        for _ in range(8):
            if life.due > now and not life.waits:
                return life.due
            before = life.phase
            if life.phase in self._steps:
                self._steps[life.phase](pod, life, now)
            else:
                self._look(pod, life, now)
            fresh = self._store.stored(PODS, meta["namespace"], meta["name"])
            if fresh is None or life.phase == before or reading.finished(fresh):
                break
            pod = fresh
        return life.due

    def _begin(self, pod: Object, now: float) -> Life:
        life = Life(MOUNT, now + reading.share(f"bind/{pod['metadata']['uid']}", 0.2, 0.6), self._mounts(pod))
        self._lives[pod["metadata"]["uid"]] = life
        if (pod.get("status") or {}).get("phase") == "Running" and reading.pod_ip(pod):
            # Made running by whoever built the cluster: it has been so since its start time.
            life.mounts.sync(self._store, now)
            life.ip = reading.pod_ip(pod)
            self._run(pod, life, reading.parse_time(pod["status"].get("startTime")) or now)
            life.due = now
            return life
        self._set(pod, statuses.waiting(pod, "ContainerCreating", "", 0, None, now))
        return life

    @staticmethod
    def _mounts(pod: Object) -> Mounts:
        return Mounts.of(pod["metadata"]["namespace"], pod["spec"])

    # -- starting ------------------------------------------------------------------------------------------------

    def _mount(self, pod: Object, life: Life, now: float) -> None:
        if life.due > now:
            return
        missing = life.mounts.sync(self._store, now)
        if missing:
            self._tell(pod, "FailedMount", missing)
            self._retry(life, now, 16.0)
            return
        life.phase, life.due, life.attempts = SANDBOX, now + 0.2, 0

    def _sandbox(self, pod: Object, life: Life, now: float) -> None:
        host = self._ground.host(reading.node_of(pod))
        try:
            life.ip = self._addresses.assign(pod, host)
        except NoAddress as error:
            if life.due <= now:
                self._tell(pod, "NetworkNotReady" if error.quiet else "FailedCreatePodSandBox", str(error))
                self._retry(life, now, 15.0)
            life.waits = True
            return
        life.waits = False
        status = {**(pod.get("status") or {}), "podIP": life.ip, "podIPs": [{"ip": life.ip}]}
        self._set(pod, status)
        life.phase, life.due, life.attempts = PULL, now, 0

    def _pull(self, pod: Object, life: Life, now: float) -> None:
        host = self._ground.host(reading.node_of(pod))
        wanted = [
            str(part.get("image", ""))
            for part in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
        ]
        for image in wanted:
            refusal = images.refusal(image)
            if refusal:
                self._no_image(pod, life, image, refusal, now)
                return
        new = sorted({image for image in wanted if image not in host.images})
        for image in new:
            self._tell(pod, "Pulling", f'Pulling image "{image}"', warn=False)
        host.images.update(new)
        seconds = max((images.pull_seconds(host.name, image) for image in new), default=0.1)
        life.phase = START
        life.due = now + seconds + 0.4 * len(pod["spec"].get("initContainers") or ())

    def _no_image(self, pod: Object, life: Life, image: str, refusal: str, now: float) -> None:
        self._tell(pod, "Failed", f'Failed to pull image "{image}": {refusal}')
        first = life.attempts == 0
        reason = "ErrImagePull" if first else "ImagePullBackOff"
        message = refusal if first else f'Back-off pulling image "{image}": ErrImagePull: {refusal}'
        self._set(pod, statuses.waiting(pod, reason, message, life.restarts, life.last, now))
        self._retry(life, now, 300.0, first=5.0)

    def _start(self, pod: Object, life: Life, now: float) -> None:
        if life.due > now:
            return
        if life.restarts:
            life.mounts.sync(self._store, now)
        for part in pod["spec"]["containers"]:
            _, missing = environment(self._store, pod, part)
            if missing:
                self._tell(pod, "Failed", f"Error: {missing}")
                status = statuses.waiting(pod, "CreateContainerConfigError", missing, life.restarts, life.last, now)
                self._set(pod, status)
                self._retry(life, now, 10.0)
                return
        self._run(pod, life, now)
        for part in pod["spec"]["containers"]:
            self._tell(pod, "Started", f"Started container {part['name']}", warn=False)
        self._publish(pod, life, False, now)

    def _run(self, pod: Object, life: Life, at: float) -> None:
        meta = pod["metadata"]
        settings = self._store.stored(CONFIGMAPS, meta["namespace"], "cilium-config")
        values = {key: str(value) for key, value in ((settings or {}).get("data") or {}).items()}
        processes = {}
        for part in pod["spec"]["containers"]:
            variables, _ = environment(self._store, pod, part)
            words = [*(part.get("command") or ()), *(part.get("args") or ())]
            for name, value in variables.items():
                words = [word.replace(f"$({name})", value) for word in words]
            processes[part["name"]] = Process(
                part["name"], str(part.get("image", "")), at, tuple(words), variables, values
            )
        life.runtime = PodRuntime(
            uid=meta["uid"],
            namespace=meta["namespace"],
            name=meta["name"],
            node=reading.node_of(pod),
            ip=life.ip,
            host_network=reading.host_network(pod),
            started_at=at,
            labels=reading.labels(pod),
            spec=pod["spec"],
            mounts=life.mounts,
            processes=processes,
            boot=life.restarts,
            ready=reading.is_true(pod, "Ready"),
            frozen={name: dict(files) for name, files in life.mounts.files.items()},
        )
        self.runtimes[meta["uid"]] = life.runtime
        for listener in self.started:
            listener(life.runtime)
        life.phase, life.due, life.attempts = RUN, at, 0

    # -- running -------------------------------------------------------------------------------------------------

    def _look(self, pod: Object, life: Life, now: float) -> None:
        if life.phase == BACKOFF:
            if life.due <= now:
                life.phase, life.due, life.waits = START, now, False
            return
        assert life.runtime is not None
        verdict = program_of(pod)(self._ground, life.runtime, pod, now)
        if verdict.done:
            self._finish(pod, life, 0, now)
        elif verdict.crash:
            self._crash(pod, life, verdict, now)
        else:
            life.due, life.waits = verdict.again, True
            if verdict.ready != reading.is_true(pod, "Ready") or (pod.get("status") or {}).get("phase") != "Running":
                self._publish(pod, life, verdict.ready, now)
            life.runtime.ready = verdict.ready

    def _crash(self, pod: Object, life: Life, verdict: Verdict, now: float) -> None:
        assert life.runtime is not None
        for listener in self.crashed:
            listener(life.runtime, verdict.crash)
        if pod["spec"].get("restartPolicy") == "Never":
            self._finish(pod, life, 1, now)
            return
        life.last = statuses.terminated(1, "Error", life.runtime.started_at, now, pod["metadata"]["uid"])
        life.last["message"] = verdict.crash
        life.restarts = 1 if now - life.runtime.started_at > STABLE else life.restarts + 1
        name = pod["spec"]["containers"][0]["name"]
        pause = min(300.0, 10.0 * 2 ** (life.restarts - 1))
        meta = pod["metadata"]
        text = (
            f"back-off {int(pause)}s restarting failed container={name} "
            f"pod={meta['name']}_{meta['namespace']}({meta['uid']})"
        )
        self._tell(pod, "BackOff", f"Back-off restarting failed container {name} in pod {meta['name']}")
        self._end(meta["uid"])
        self._set(pod, statuses.waiting(pod, "CrashLoopBackOff", text, life.restarts, life.last, now))
        life.phase, life.due = BACKOFF, now + pause

    def _finish(self, pod: Object, life: Life, code: int, now: float) -> None:
        assert life.runtime is not None
        reason = "Completed" if code == 0 else "Error"
        status = statuses.ended(pod, life.runtime.started_at, code, reason, now)
        self._end(pod["metadata"]["uid"])
        self._set(pod, status)
        life.due = NEVER

    def _publish(self, pod: Object, life: Life, ready: bool, now: float) -> None:
        assert life.runtime is not None
        node = self._store.stored(NODES, None, life.runtime.node)
        host_ip = reading.internal_ip(node) if node else ""
        at = life.runtime.started_at
        self._set(pod, statuses.running(pod, at, life.ip, host_ip, ready, life.restarts, life.last, now))

    # -- stopping ------------------------------------------------------------------------------------------------

    def _stop(self, pod: Object, now: float) -> float:
        uid = pod["metadata"]["uid"]
        life = self._lives.setdefault(uid, Life(MOUNT, NEVER, self._mounts(pod)))
        if life.stop_at == NEVER:
            life.stop_at = now if life.runtime is None else now + stop_seconds(pod)
            if life.runtime is not None:
                for part in pod["spec"]["containers"]:
                    self._tell(pod, "Killing", f"Stopping container {part['name']}", warn=False)
                if reading.is_true(pod, "Ready"):
                    life.runtime.ready = False
        if now < life.stop_at:
            return life.stop_at
        self._remove(pod)
        return NEVER

    def _remove(self, pod: Object) -> None:
        meta = pod["metadata"]
        self._end(meta["uid"])
        self._lives.pop(meta["uid"], None)
        if self._store.stored(PODS, meta["namespace"], meta["name"]) is not None:
            self._store.delete(PODS, meta["namespace"], meta["name"], grace_seconds=0)

    def _forget(self, uid: str) -> None:
        self._lives.pop(uid, None)
        self._end(uid)

    def _end(self, uid: str) -> None:
        runtime = self.runtimes.pop(uid, None)
        life = self._lives.get(uid)
        if life is not None:
            life.runtime = None
        if runtime is not None:
            for listener in self.stopped:
                listener(runtime)

    # -- telling -------------------------------------------------------------------------------------------------

    def _set(self, pod: Object, status: Object) -> None:
        meta = pod["metadata"]
        stored = self._store.stored(PODS, meta["namespace"], meta["name"])
        if stored is not None and stored.get("status") != status:
            self._store.set_status(PODS, meta["namespace"], meta["name"], status)

    def _tell(self, pod: Object, reason: str, message: str, *, warn: bool = True) -> None:
        self._recorder.record(PODS, pod, reason, message, source="kubelet", warn=warn)

    @staticmethod
    def _retry(life: Life, now: float, longest: float, first: float = 1.0) -> None:
        life.attempts += 1
        life.due = now + min(longest, first * 2 ** (life.attempts - 1))
