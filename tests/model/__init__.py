"""The windows and alarms a second time, as plain as possible, and a duel: ``make test-model``.

``naive.py`` (with ``inputs.py`` and ``status.py``) and ``alarms.py`` are the model, written from the rules,
not from ``edge_agent.control``. ``generator.py`` draws configurations and steps (``story.py``); ``duel.py``
compares after every step; ``shrink.py`` finds the shortest story of a difference; ``bugs/`` holds faults that
the duel must find.
"""
