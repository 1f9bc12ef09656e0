"""A plant for tests: real processes over real sockets. Each ends only what it started."""
