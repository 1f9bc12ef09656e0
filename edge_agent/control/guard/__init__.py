"""The guard of writes: whether a value may go to a controller, and the record of every decision. Pure.

``guard`` is the pipeline (its docstring shows the executor's part), ``refusal`` every reason in the order
in which it is judged, ``checks`` the conditions, ``found`` those after the controller was read, ``raw`` the
way from engineering units to the raw value, ``reverts`` what a TTL takes back, ``books`` and ``ledger`` what
is remembered, ``journal`` and ``repeats`` what is told, ``arming`` the token, ``operation`` what people may
do, ``beats`` heartbeats.

It is a supervisory client's caution, no safety function.
"""

from edge_agent.control.guard.arming import Random as Random
from edge_agent.control.guard.beats import Beats as Beats
from edge_agent.control.guard.books import PREFIX as PREFIX
from edge_agent.control.guard.guard import Guard as Guard
from edge_agent.control.guard.operation import GuardRefused as GuardRefused
from edge_agent.control.guard.raw import Unmappable as Unmappable
from edge_agent.control.guard.raw import to_raw as to_raw
from edge_agent.control.guard.refusal import Reason as Reason
from edge_agent.control.guard.refusal import Stage as Stage
from edge_agent.control.guard.refusal import lock_text as lock_text
from edge_agent.control.guard.request import ANNUNCIATION as ANNUNCIATION
from edge_agent.control.guard.request import HEARTBEAT as HEARTBEAT
from edge_agent.control.guard.request import OPERATOR as OPERATOR
from edge_agent.control.guard.request import TTL as TTL
from edge_agent.control.guard.request import Approved as Approved
from edge_agent.control.guard.request import Armed as Armed
from edge_agent.control.guard.request import Audit as Audit
from edge_agent.control.guard.request import Facts as Facts
from edge_agent.control.guard.request import Outcome as Outcome
from edge_agent.control.guard.request import Permit as Permit
from edge_agent.control.guard.request import Reading as Reading
from edge_agent.control.guard.request import Refusal as Refusal
from edge_agent.control.guard.request import Verdict as Verdict
from edge_agent.control.guard.request import WriteRequest as WriteRequest
from edge_agent.control.guard.request import both as both
