"""From a path that is dialled to the handler that answers: the table of routes, access, and a URL's variables."""
