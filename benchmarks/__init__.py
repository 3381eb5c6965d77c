"""How fast, how steady and how small the server is; README.md beside this file tells how to read it."""
