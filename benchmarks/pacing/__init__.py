"""What a paced frame costs, and how evenly frames come, beside the least and the naive."""
