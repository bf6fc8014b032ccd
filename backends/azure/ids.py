"""Azure resource ids: compared without regard to case, taken apart by their path (cloud-network §1.3)."""


def parts(resource_id: str) -> dict[str, str]:
    """``/subscriptions/S/resourceGroups/G/providers/NS/type/name/…`` as a map of lower-cased segment names to
    values.
    """
    words = [word for word in resource_id.split("/") if word]
    return {words[index].lower(): words[index + 1] for index in range(0, len(words) - 1, 2)}


def subscription(resource_id: str) -> str:
    """The subscription of an id or of a node's ``azure://`` provider id."""
    return parts(resource_id.removeprefix("azure://")).get("subscriptions", "")


def group(resource_id: str) -> str:
    """The resource group of an id or of a node's provider id."""
    return parts(resource_id.removeprefix("azure://")).get("resourcegroups", "")


def name(resource_id: str) -> str:
    """The last segment."""
    return resource_id.rstrip("/").rpartition("/")[2]


def same(one: str, other: str) -> bool:
    """Whether two ids are of one object."""
    return one.lower().rstrip("/") == other.lower().rstrip("/")
