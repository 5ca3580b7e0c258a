"""Running experiments: once or over a grid, in steps or as a differential equation, and what comes out."""
