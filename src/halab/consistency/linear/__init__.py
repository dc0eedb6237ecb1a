"""How `halab.consistency.linearizable` searches: partition, pruning, timeline, search, witness."""
