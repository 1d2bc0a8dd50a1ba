"""Where facts go: metrics, log, journal."""
