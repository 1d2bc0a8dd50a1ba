"""Tests of the lab: the observed contract of VX11, literally."""
