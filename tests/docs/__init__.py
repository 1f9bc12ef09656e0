"""The documentation is held to what the program does: its commands are run, its tables are compared."""
