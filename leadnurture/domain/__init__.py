"""Pure values and rules: what a program, a content, an agreement and a company are. No I/O, no clock."""
