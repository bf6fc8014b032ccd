"""Pods out of templates, as workload controllers make them."""

from typing import Any

import msgspec

from backends.lab.controllers import reading
from backends.lab.controllers.recording import Recorder
from backends.lab.objects import Object, ObjectStore, Resource
from backends.lab.storage.resources import PODS
from backends.lab.storage.status import ApiError


def pod_of(
    template: Object, owner: Object, resource: Resource, extra_labels: dict[str, str] | None = None, **spec: Any
) -> Object:
    """A pod from ``template``, controlled by ``owner``; ``spec`` entries replace those of the template."""
    copy: Object = msgspec.json.decode(msgspec.json.encode(template))
    meta = copy.get("metadata") or {}
    body: Object = {
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**(meta.get("labels") or {}), **(extra_labels or {})},
            "ownerReferences": reading.owned_by(resource.api_version, resource.kind, owner),
        },
        "spec": {**copy["spec"], **spec},
    }
    if meta.get("annotations"):
        body["metadata"]["annotations"] = meta["annotations"]
    return body


class PodMaker:
    """Creates and deletes pods for one kind of controller, and says so in Events."""

    def __init__(self, store: ObjectStore, recorder: Recorder, source: str) -> None:
        self._store = store
        self._recorder = recorder
        self._source = source

    def create(self, resource: Resource, owner: Object, pod: Object) -> Object | None:
        """Create the pod; None (and an Event) where the API server refuses it."""
        try:
            made = self._store.create(PODS, pod)
        except ApiError as error:
            text = f"Error creating: {error.message}"
            self._recorder.record(resource, owner, "FailedCreate", text, source=self._source, warn=True)
            return None
        text = f"Created pod: {made['metadata']['name']}"
        self._recorder.record(resource, owner, "SuccessfulCreate", text, source=self._source)
        return made

    def delete(self, resource: Resource, owner: Object, pod: Object) -> None:
        """Ask for the pod's end, with its grace period."""
        meta = pod["metadata"]
        grace = int(pod["spec"].get("terminationGracePeriodSeconds") or 0)
        self._store.delete(PODS, meta["namespace"], meta["name"], grace_seconds=grace)
        text = f"Deleted pod: {meta['name']}"
        self._recorder.record(resource, owner, "SuccessfulDelete", text, source=self._source)
