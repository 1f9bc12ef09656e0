"""The windows and alarms a second time, as plain as possible, and a duel between the two: ``make test-model``.

``naive.py`` and ``alarms.py`` are the model, written from the text of the specification and not from
``edge_agent.control``; ``generator.py`` draws configurations and steps; ``duel.py`` compares after every step;
``shrink.py`` finds the shortest story of a difference; ``bugs/`` holds faults that the duel must find.
"""
