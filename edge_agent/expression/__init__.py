"""The language of derived values: ``rate(energy, 10min) / rate(product_mass, 10min)``.

    text ──tokens──> ──parser──> Node ──check──> Step ──┬─ emit ──> one Python function, all inputs good
                                                        └─ exact ─> step by step, with qualities

Types and units are settled while the configuration is checked, and every mistake is told at once with its
column. At run time there is no text any more. Depends on nothing above ``edge_agent.model``, so that the
loader may use it. Who only calculates (``Formula``, ``Slot``) imports no parser and no checker: names are
imported when they are first used.

- Numbers may carry a unit: ``0.5 MPa``, ``3.2 [kWh/kg]``. A plain number has none; a plain 0 fits every unit.
- ``+ - * / **``, comparisons, ``and or not``, ``if(c, a, b)``, ``min max avg sum abs clamp``.
- Over the time up to now: ``avg min max sum(tag, 10min)``, ``delta(counter, 1h)``, ``rate(tag, 10min)`` per
  second, ``hold(tag, 5min)``: the last usable value for so long.
- Divided by nothing is undefined: neither 0 nor infinite, but a quality of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_agent.expression.compiling import compile_formula
    from edge_agent.expression.formula import Formula
    from edge_agent.expression.mistakes import Mistake
    from edge_agent.expression.nodes import Slot
    from edge_agent.expression.operand import FUNCTIONS, Operand
    from edge_agent.expression.together import Compiled, Definition, compile_together

__all__ = [
    "FUNCTIONS",
    "Compiled",
    "Definition",
    "Formula",
    "Mistake",
    "Operand",
    "Slot",
    "compile_formula",
    "compile_together",
]

_HOMES = {
    "FUNCTIONS": "operand",
    "Compiled": "together",
    "Definition": "together",
    "Formula": "formula",
    "Mistake": "mistakes",
    "Operand": "operand",
    "Slot": "nodes",
    "compile_formula": "compiling",
    "compile_together": "together",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
