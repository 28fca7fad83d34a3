"""The loops of storage: volumes and claims find each other, are made, kept and given back."""
