"""Values made up in the process: for trying the agent without a PLC, and the driver to copy.

Read in this order: settings (what a technician writes), address (what a tag's address means), plan (mistakes,
requests, replies -> columns), link (the connection). The contract itself is ``edge_agent.driver``.
"""

from drivers.sim.link import SimLink
from drivers.sim.plan import check, plan, unwritable
from drivers.sim.settings import SimSettings, link_key
from edge_agent.driver import DriverPlugin

# What the entry point names: [project.entry-points."edge_agent.drivers"] sim = "drivers.sim:PLUGIN"
PLUGIN = DriverPlugin(
    settings=SimSettings,
    link_key=link_key,
    check=check,
    plan=plan,
    open_link=SimLink,  # a class is a function that makes a link; it must not do I/O
    link_options=frozenset({"speed"}),  # what devices on one link must agree on
    address_hint="sine:60s | ramp:100 | constant:5 | counter",
    first_tag=("sine:60s", "float32"),
    unwritable=unwritable,
    summary={"en": "simulated values, no hardware", "zh": "模拟数值，无需硬件"},
)
