"""The cases, a module for each thing that is lost."""
