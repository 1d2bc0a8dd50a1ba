"""What replays come to: figures, their course over time, and how sure they are."""
