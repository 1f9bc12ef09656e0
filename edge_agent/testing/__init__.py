"""For tests only: contract suites that plug-in authors run against their own plug-ins, and a clock to inject."""
