"""For tests only: contract suites that plug-in authors run against their plug-ins, and a clock to inject."""
