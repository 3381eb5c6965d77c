"""What several handlers share: where they write, what they say, and who writes down what is said to them."""
