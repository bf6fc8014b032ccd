"""How each effect of a plan is carried out through the ports."""

from mesh.effects.carry import Workbench, carry_out

__all__ = ["Workbench", "carry_out"]
