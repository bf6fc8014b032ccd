"""A small client of the Kubernetes API for the command stand-ins: standard library and YAML only, quick to start."""
