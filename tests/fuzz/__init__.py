"""Documents damaged at random, by a seed: each is read, or refused by a typed error."""
