"""`make bench`: what the whole way costs beside a bare client, on this machine, in this run."""
