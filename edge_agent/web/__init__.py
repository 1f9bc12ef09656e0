"""What the agent shows over HTTP: Prometheus metrics, JSON status, health, a small page. Reading only.

``server.py`` listens and guards (methods, Host header, response headers), ``routes.py`` answers,
``page.py`` writes the page, ``document.py`` the JSON, ``cached.py`` makes one answer serve everybody who asks
within a second.
"""

from edge_agent.web.routes import Sources
from edge_agent.web.server import Web

__all__ = ["Sources", "Web"]
