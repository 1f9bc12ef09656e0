"""A day of a line in a minute: the clock is injected, and steps on when the other side has settled."""
