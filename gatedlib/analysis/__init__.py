"""Reading results, and the theory to compare them with; only `transfer.adapt` runs something."""
