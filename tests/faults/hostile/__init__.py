"""Controllers that lie, beside drivers that must not pass it on.

``behaviours``  what they do, and which transport can do what
``stamps``      values that tell where they stood and when they were asked for
``modbus``, ``s7``, ``opcua``   requests in, honest and dishonest replies out
``server``      one process per transport: sockets or pseudo-terminals
``reading``     the agent's own workers and drivers against them, every good value checked
``figures``     what came of it, and what it must be

Server and readers are processes of their own; they share ``stamps`` and ``behaviours`` and nothing else. The
server's side imports neither the agent nor a driver.
"""
