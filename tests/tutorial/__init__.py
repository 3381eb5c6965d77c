"""The tutorial's three client examples as it prints them, with the indentation that its text lost put back."""
