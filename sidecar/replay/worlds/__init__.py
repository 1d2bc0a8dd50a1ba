"""How targets answer on virtual time: made up, as a journal recorded it, with few servers, or disturbed by a scenario."""
