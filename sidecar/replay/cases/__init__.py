"""Unit tests of a policy: a cases file as values, a case played on virtual time, and what was expected held against what came."""
