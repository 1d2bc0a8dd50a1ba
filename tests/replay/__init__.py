"""What a record tells and what it does not, policies tried on it, and what is written about it."""
