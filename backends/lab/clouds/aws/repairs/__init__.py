"""Where moto differs from AWS in what a mesh needs: made right in moto's own classes, once per process.

Every repair names what AWS does; moto is pinned exactly, because these are its internals.
"""

import threading

_lock = threading.Lock()
_done: list[bool] = []


def apply() -> None:
    """Repair moto. Imports it; further calls do nothing."""
    with _lock:
        if _done:
            return
        from backends.lab.clouds.aws.repairs import balancers, clusters, routes, rules, transit, vpn

        for part in (rules, routes, vpn, transit, clusters, balancers):
            part.apply()
        _done.append(True)
