"""Answering a chat: the application, the live driver, and how switch and madre are asked."""
