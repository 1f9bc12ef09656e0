"""The simulated line: one physical model, its controllers over the real protocols, and the park.

    process ── Clockwork steps it ──┬── modbus   registers   one model, three controllers,
                                    ├── s7       data blocks  faults on demand (`faults`)
                                    └── opcua    nodes
    `supervised`: how the controllers notice that who commands them is gone
    park  <── what an agent delivers, stored, counted, answered in many moods

It shares no code with the agent or its drivers: a codec bug must not hide in its own mirror. Nothing here is
needed in production; it ships so that `demo`, tests and a technician's rehearsal have a line to talk to.
"""
