"""What can be seen from outside: log lines with their ids, traces, and the counters of workers. All of it optional."""
