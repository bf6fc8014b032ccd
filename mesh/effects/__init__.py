"""How each effect of a plan is carried out through the ports."""

from mesh.effects.carry import carry_out
from mesh.effects.workbench import Workbench

__all__ = ["Workbench", "carry_out"]
