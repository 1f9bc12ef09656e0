"""The local socket by which people on this machine act on the running agent: acknowledge, shelve, arm.

One request and one answer per line, JSON. Who asks is what the kernel says of the peer, never what the
request claims. ``protocol.py`` says what lines mean, ``peer.py`` who is there, ``place.py`` where the socket
is, ``console.py`` serves it. The web page has no part in this: it changes nothing.
"""

from edge_agent.console.console import Console, Handler
from edge_agent.console.place import console_path

__all__ = ["Console", "Handler", "console_path"]
