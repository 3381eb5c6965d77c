"""`make mutants`: plants mistakes in the core, and tells which mistakes no test notices."""
