"""Every configuration mistake the loader can report: code, cause and cure, in both languages.

Codes are stable and language-neutral: a technician reads them out over the phone. ``E-`` stops the load,
``W-`` is a warning. Placeholders are filled by ``Entry.texts``; a value may itself be a ``Text``. Readers say
``catalogue.NAME``; the entries stand by subject in the modules of this package.
"""

from edge_agent.config.catalogue.derived import *  # noqa: F403
from edge_agent.config.catalogue.devices import *  # noqa: F403
from edge_agent.config.catalogue.entry import Entry as Entry
from edge_agent.config.catalogue.files import *  # noqa: F403
from edge_agent.config.catalogue.imports import *  # noqa: F403
from edge_agent.config.catalogue.keys import *  # noqa: F403
from edge_agent.config.catalogue.limits import *  # noqa: F403
from edge_agent.config.catalogue.periods import *  # noqa: F403
from edge_agent.config.catalogue.snapshot import *  # noqa: F403
from edge_agent.config.catalogue.standards import *  # noqa: F403
from edge_agent.config.catalogue.tables import *  # noqa: F403
from edge_agent.config.catalogue.uplinks import *  # noqa: F403
from edge_agent.config.catalogue.windows import *  # noqa: F403
from edge_agent.config.catalogue.writes import *  # noqa: F403


def entries() -> list[Entry]:
    """All of them, in the order of their codes."""
    found = [value for value in globals().values() if isinstance(value, Entry)]
    return sorted(found, key=lambda entry: entry.code[1:])
