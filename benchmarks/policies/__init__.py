"""What each feature of a policy does in the lab, off and on side by side: where it helps, and where it would hurt and is held back."""
