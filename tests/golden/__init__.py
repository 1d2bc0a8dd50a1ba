"""Golden journals: a small recorded journal for each shipped policy file, and the facts that the file makes of its calls.

``<policy>.journal.jsonl`` was recorded live and stays. ``<policy>.facts`` is what the engine decides about the same calls under the file
as it is now; whoever changes a policy writes it anew (``make golden``), so the change shows in its diff what it does.
"""
