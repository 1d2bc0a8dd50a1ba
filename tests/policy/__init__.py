"""Tests of the policy floor: units, the tree, files, and the files that are shipped."""
