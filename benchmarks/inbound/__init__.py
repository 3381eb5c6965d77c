"""What a received frame costs, beside the least that reading can cost."""
