"""The ``cilium`` stand-in: the ``clustermesh`` commands, ``status`` and ``version`` of cilium-cli 0.19.7."""
