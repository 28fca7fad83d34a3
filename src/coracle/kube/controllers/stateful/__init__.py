"""What makes StatefulSets true: their pods' identity, their claims, what happens next, and the loop that applies it."""
