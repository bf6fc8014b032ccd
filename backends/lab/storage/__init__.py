"""What stands behind a cluster's objects: the resource table, validation, defaults, patches, garbage collection."""
