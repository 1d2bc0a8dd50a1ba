"""The admin port: what can be read, and what an operator may change."""
