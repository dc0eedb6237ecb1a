"""From operations to findings: one module for each kind of model, each a translation to what its checker wants."""
