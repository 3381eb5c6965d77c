"""The load of a benchmark: many listeners of one server in one cheap process, and the pacing that they measure."""
