"""The control plane as agents live it: what clusters publish, who may connect where, what each one has seen."""
