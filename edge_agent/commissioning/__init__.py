"""What a technician finds out before there is a tag table. Pure: bytes that somebody has read -> what they
can mean, ranked, with reasons in both languages. Reading, asking and printing are the business of ``cli``.

``memory`` bytes side by side -> readings; ``plausible`` how much a number looks like a process value;
``orders`` all readings of one address; ``guess`` which reading shows what a display shows.
"""

from edge_agent.commissioning.guess import DIVISORS as DIVISORS
from edge_agent.commissioning.guess import Candidate as Candidate
from edge_agent.commissioning.guess import Guessed as Guessed
from edge_agent.commissioning.guess import Search as Search
from edge_agent.commissioning.guess import guess as guess
from edge_agent.commissioning.memory import Reading as Reading
from edge_agent.commissioning.memory import Run as Run
from edge_agent.commissioning.memory import readings as readings
from edge_agent.commissioning.memory import runs as runs
from edge_agent.commissioning.orders import Trial as Trial
from edge_agent.commissioning.orders import trials as trials
from edge_agent.commissioning.plausible import Mark as Mark
from edge_agent.commissioning.plausible import plausible as plausible
from edge_agent.commissioning.shown import NotANumber as NotANumber
from edge_agent.commissioning.shown import Shown as Shown
from edge_agent.commissioning.shown import shown as shown
