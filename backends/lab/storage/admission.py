"""What an API server does to an object on its way in: defaults, validation, allocation."""

from typing import Any

from backends.lab.storage import defaults, pod_defaults, services, validation
from backends.lab.storage.allocation import Allocator
from backends.lab.storage.resources import JOBS, PODS, SECRETS, SERVICES, Resource
from backends.lab.storage.selectors import Object


def default(resource: Resource, obj: Object) -> None:
    """Fill in the fields of a new object that its client left out, in place."""
    if resource.key == SECRETS.key:
        defaults.string_data(obj)
    defaults.apply(resource, obj)


def admit(allocator: Allocator, resource: Resource, obj: Object) -> None:
    """Add what the server itself decides, validate and allocate, in place. Raises ``ApiError`` 422."""
    if resource.key == PODS.key:
        pod_defaults.admit(obj, allocator.suffix())
    if resource.key == JOBS.key:
        defaults.job_selector(obj)
    validation.check(resource, obj)
    if resource.key == SERVICES.key:
        services.allocate(allocator, resource, obj, None)


def prepare_update(allocator: Allocator, resource: Resource, old: Object, obj: Object) -> None:
    """Default and validate in place, keep what is allocated, refuse changes of immutable fields."""
    if resource.key == SECRETS.key:
        defaults.string_data(obj)
    if resource.key == SERVICES.key:
        services.keep(old, obj)
    defaults.apply(resource, obj)
    validation.check(resource, obj)
    validation.check_change(resource, old, obj)
    if resource.key == SERVICES.key:
        services.allocate(allocator, resource, obj, old)


def release(allocator: Allocator, resource: Resource, obj: Object) -> None:
    """Give back what a removed object held."""
    if resource.key == SERVICES.key:
        allocator.give_back(obj.get("spec", {}))


def restore(allocator: Allocator, resource: Resource, old: Object, obj: Object) -> None:
    """Take back what a prepared update allocated that is not stored after all."""
    if resource.key == SERVICES.key:
        allocator.give_back(obj.get("spec", {}))
        services.retake(allocator, old.get("spec", {}))


def intent(obj: Object) -> dict[str, Any]:
    """What a change of counts as a new generation: everything but metadata and status."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}
