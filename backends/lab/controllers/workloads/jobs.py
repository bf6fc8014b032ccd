"""Jobs and CronJobs."""

import math
from typing import Final

from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.controllers.recording import Recorder
from backends.lab.controllers.workloads.cron import following
from backends.lab.controllers.workloads.making import PodMaker, pod_of
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import PODS, RESOURCES

JOBS: Final = RESOURCES["batch", "jobs"]
CRONJOBS: Final = RESOURCES["batch", "cronjobs"]


def _ended_at(pod: Object) -> float:
    entries = pod["status"].get("containerStatuses") or [{}]
    ended = (entries[0].get("state") or {}).get("terminated") or {}
    return reading.parse_time(ended.get("finishedAt"))


class Jobs:
    """The Job controller."""

    watches = frozenset({JOBS.key, PODS.key})

    def __init__(self, store: ObjectStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self._maker = PodMaker(store, recorder, "job-controller")

    def reconcile(self, now: float) -> float:
        """Run every Job to its completions or its back-off limit."""
        due = NEVER
        for job in list(self._store.view(JOBS)):
            if not reading.terminating(job):
                due = min(due, self._sync(job, now))
        return due

    def _sync(self, job: Object, now: float) -> float:
        if reading.is_true(job, "Complete") or reading.is_true(job, "Failed"):
            return self._expire(job, now)
        spec, meta = job["spec"], job["metadata"]
        pods = [pod for pod in self._store.view(PODS, meta["namespace"]) if reading.owner(pod) == meta["uid"]]
        active = [pod for pod in pods if not reading.finished(pod) and not reading.terminating(pod)]
        succeeded = sum(1 for pod in pods if pod.get("status", {}).get("phase") == "Succeeded")
        failed = [pod for pod in pods if pod.get("status", {}).get("phase") == "Failed"]
        wanted = int(spec.get("completions") or 1)
        status: Object = {
            key: value
            for key, value in (job.get("status") or {}).items()
            if key in ("startTime", "conditions", "uncountedTerminatedPods")
        }
        status.setdefault("startTime", reading.stamp(now))
        due = NEVER
        if succeeded >= wanted:
            self._complete(job, status, now)
        elif len(failed) > int(spec.get("backoffLimit", 6)):
            self._fail(job, status, active, now)
        elif not spec.get("suspend"):
            due = self._fill(job, active, failed, wanted - succeeded, now)
            active = [
                pod
                for pod in self._store.view(PODS, meta["namespace"])
                if reading.owner(pod) == meta["uid"] and not reading.finished(pod) and not reading.terminating(pod)
            ]
        ready = sum(1 for pod in active if reading.ready(pod))
        counts = {"active": len(active), "failed": len(failed), "succeeded": succeeded}
        status.update({key: value for key, value in counts.items() if value})
        status["ready"], status["terminating"] = ready, 0
        status.setdefault("uncountedTerminatedPods", {})
        if job.get("status") != status:
            self._store.set_status(JOBS, meta["namespace"], meta["name"], status)
        return due

    def _fill(self, job: Object, active: list[Object], failed: list[Object], left: int, now: float) -> float:
        missing = min(int(job["spec"].get("parallelism", 1)), left) - len(active)
        if missing <= 0:
            return NEVER
        if failed:
            last = max(_ended_at(pod) for pod in failed)
            again = last + min(360.0, 10.0 * math.pow(2, len(failed) - 1))
            if again > now:
                return again
        for _ in range(missing):
            self._maker.create(JOBS, job, pod_of(job["spec"]["template"], job, JOBS))
        return NEVER

    def _complete(self, job: Object, status: Object, now: float) -> None:
        stamp = reading.stamp(now)
        message = "Reached expected number of succeeded pods"
        status["completionTime"] = stamp
        status["conditions"] = [
            {
                "lastProbeTime": stamp,
                "lastTransitionTime": stamp,
                "message": message,
                "reason": "CompletionsReached",
                "status": "True",
                "type": kind,
            }
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        self._recorder.record(JOBS, job, "Completed", "Job completed", source="job-controller")

    def _fail(self, job: Object, status: Object, active: list[Object], now: float) -> None:
        for pod in active:
            self._maker.delete(JOBS, job, pod)
        stamp = reading.stamp(now)
        message = "Job has reached the specified backoff limit"
        status["conditions"] = [
            {
                "lastProbeTime": stamp,
                "lastTransitionTime": stamp,
                "message": message,
                "reason": "BackoffLimitExceeded",
                "status": "True",
                "type": kind,
            }
            for kind in ("FailureTarget", "Failed")
        ]
        self._recorder.record(JOBS, job, "BackoffLimitExceeded", message, source="job-controller", warn=True)

    def _expire(self, job: Object, now: float) -> float:
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return NEVER
        ended = reading.condition(job, "Complete") or reading.condition(job, "Failed") or {}
        due = reading.parse_time(ended.get("lastTransitionTime")) + float(seconds)
        if due > now:
            return due
        meta = job["metadata"]
        self._store.delete(JOBS, meta["namespace"], meta["name"])
        return NEVER


class CronJobs:
    """The CronJob controller."""

    watches = frozenset({CRONJOBS.key, JOBS.key})

    def __init__(self, store: ObjectStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

    def reconcile(self, now: float) -> float:
        """Start what is due and keep the status of every CronJob."""
        due = NEVER
        for cron_job in list(self._store.view(CRONJOBS)):
            if not reading.terminating(cron_job):
                due = min(due, self._sync(cron_job, now))
        return due

    def _sync(self, cron_job: Object, now: float) -> float:
        meta, spec = cron_job["metadata"], cron_job["spec"]
        status: Object = dict(cron_job.get("status") or {})
        jobs = [job for job in self._store.view(JOBS, meta["namespace"]) if reading.owner(job) == meta["uid"]]
        last = reading.parse_time(status.get("lastScheduleTime") or meta["creationTimestamp"])
        try:
            due = following(spec["schedule"], last)
        except ValueError as error:
            text = f"unparseable schedule {spec['schedule']!r}: {error}"
            source = "cronjob-controller"
            self._recorder.record(CRONJOBS, cron_job, "UnparseableSchedule", text, source=source, warn=True)
            return NEVER
        running = [job for job in jobs if not reading.is_true(job, "Complete") and not reading.is_true(job, "Failed")]
        if due <= now and not spec.get("suspend"):
            # Missed times are not made up for: only the latest one starts.
            while (later := following(spec["schedule"], due)) <= now:
                due = later
            status["lastScheduleTime"] = reading.stamp(due)
            if not (running and spec.get("concurrencyPolicy") == "Forbid"):
                running.append(self._launch(cron_job, due))
            due = following(spec["schedule"], due)
        complete = [job for job in jobs if reading.is_true(job, "Complete")]
        good = [reading.parse_time(job["status"].get("completionTime")) for job in complete]
        if good:
            status["lastSuccessfulTime"] = reading.stamp(max(good))
        status.pop("active", None)
        if running:
            status["active"] = [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": job["metadata"]["name"],
                    "namespace": meta["namespace"],
                    "uid": job["metadata"]["uid"],
                }
                for job in running
            ]
        if (cron_job.get("status") or {}) != status:
            self._store.set_status(CRONJOBS, meta["namespace"], meta["name"], status)
        self._prune(spec, jobs)
        return NEVER if spec.get("suspend") else due

    def _launch(self, cron_job: Object, at: float) -> Object:
        meta, template = cron_job["metadata"], cron_job["spec"]["jobTemplate"]
        inner = template.get("metadata") or {}
        body = {
            "metadata": {
                "name": f"{meta['name']}-{int(at // 60)}",
                "namespace": meta["namespace"],
                "labels": dict(inner.get("labels") or {}),
                "annotations": {
                    **(inner.get("annotations") or {}),
                    "batch.kubernetes.io/cronjob-scheduled-timestamp": reading.stamp(at),
                },
                "ownerReferences": reading.owned_by("batch/v1", "CronJob", cron_job),
            },
            "spec": template["spec"],
        }
        made = self._store.create(JOBS, body)
        text = f"Created job {made['metadata']['name']}"
        self._recorder.record(CRONJOBS, cron_job, "SuccessfulCreate", text, source="cronjob-controller")
        return made

    def _prune(self, spec: Object, jobs: list[Object]) -> None:
        for kind, limit in (
            ("Complete", int(spec.get("successfulJobsHistoryLimit", 3))),
            ("Failed", int(spec.get("failedJobsHistoryLimit", 1))),
        ):
            done = sorted(
                (job for job in jobs if reading.is_true(job, kind)),
                key=lambda job: str(job["metadata"]["creationTimestamp"]),
            )
            for job in done[: max(0, len(done) - limit)]:
                self._store.delete(JOBS, job["metadata"]["namespace"], job["metadata"]["name"])
